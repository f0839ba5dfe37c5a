#ifndef SPILLWAY_PROXY_BASE_PATTERN_H
#define SPILLWAY_PROXY_BASE_PATTERN_H

#include <stdbool.h>

#include "proxy/base/str.h"

/*
 * Patterns of channel names: `*` stands for any text, also for none; all else
 * for itself.
 */
enum { PATTERN_MAX = 256 };

/* At most PATTERN_MAX characters, each `*` or one that a name may have. */
bool pattern_valid(struct str pattern);

bool pattern_matches(const char *pattern, struct str name);

#endif
