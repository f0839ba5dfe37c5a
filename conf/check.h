#ifndef SPILLWAY_CONF_CHECK_H
#define SPILLWAY_CONF_CHECK_H

#include "conf/conf.h"
#include "conf/faults.h"
#include "conf/settings.h"

/*
 * Check how values go together that are fine by themselves: limits and what
 * they limit, addresses and who may reach them.
 */
void settings_check(
    const struct settings *s, const struct conf *c, struct faults *faults);

#endif
