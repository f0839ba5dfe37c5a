#ifndef SPILLWAY_CONF_CHECK_USE_H
#define SPILLWAY_CONF_CHECK_USE_H

#include "conf/conf.h"
#include "conf/faults.h"
#include "conf/settings.h"

/*
 * What would do nothing, because something that it is about is not there: joins
 * `faults`, if they have nothing else. The last part of settings_check.
 */
void use_check(
    const struct settings *s, const struct conf *c, struct faults *faults);

#endif
