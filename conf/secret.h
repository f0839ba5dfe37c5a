#ifndef SPILLWAY_CONF_SECRET_H
#define SPILLWAY_CONF_SECRET_H

#include "proxy/base/buf.h"
#include "proxy/base/str.h"

/* Tokens that stand in the configuration, or in files that it names. */
enum { SECRET_MIN = 16, SECRET_MAX = 1024 };

/*
 * The token that `text` is, or the first line of the file if it is file:/path,
 * without blanks around it. A malloc'd copy in `*out`. SW_EINVAL, with what to
 * write instead appended to `advice`, or SW_ENOMEM. The advice never has the
 * token in it.
 */
int secret_resolve(char **out, struct str text, struct buf *advice);

#endif
