#ifndef SPILLWAY_CONF_SECRET_H
#define SPILLWAY_CONF_SECRET_H

#include "proxy/base/buf.h"
#include "proxy/base/str.h"

/* What stands in the configuration, or in files that it names. */
enum { SECRET_MAX = 1024 };

/*
 * The secret that `text` is, or the first line of the file if it is file:/path,
 * without blanks around it. A malloc'd copy in `*out`. SW_EINVAL, with what to
 * write instead appended to `advice`, or SW_ENOMEM. The advice calls it `what`,
 * asks for `least` characters (0: the caller sees to that), and never has the
 * secret in it.
 */
int secret_resolve(char **out, struct str text, const char *what, size_t least,
    struct buf *advice);

#endif
