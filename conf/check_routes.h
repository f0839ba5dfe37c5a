#ifndef SPILLWAY_CONF_CHECK_ROUTES_H
#define SPILLWAY_CONF_CHECK_ROUTES_H

#include "conf/conf.h"
#include "conf/faults.h"
#include "conf/settings.h"

/*
 * What is wrong with routes as they stand together, or with what they say of
 * each other: joins `faults`. A part of settings_check.
 */
void routes_check(
    const struct settings *s, const struct conf *c, struct faults *faults);

#endif
