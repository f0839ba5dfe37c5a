#ifndef SPILLWAY_CONF_CHECK_BACKEND_H
#define SPILLWAY_CONF_CHECK_BACKEND_H

#include "conf/conf.h"
#include "conf/faults.h"
#include "conf/settings.h"

/*
 * What the backend is asked with, and could not understand, or would never get:
 * joins `faults`. A part of settings_check.
 */
void backend_check(const struct settings *s, struct faults *faults);

/*
 * Can the files of backend-ca be read, and are there certificates in them?
 * SW_EINVAL, and what to write instead in `advice`.
 */
int backend_files_check(const struct conf *c, struct buf *advice);

/*
 * Does a client's header of that name come along with events? Not what would
 * say something else of them: of the connection, of the body, of the event.
 */
bool bridge_header_passes(struct str name);

#endif
