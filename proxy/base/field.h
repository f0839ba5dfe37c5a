#ifndef SPILLWAY_PROXY_BASE_FIELD_H
#define SPILLWAY_PROXY_BASE_FIELD_H

#include "proxy/base/str.h"

/* The bytes that a token has, such as a header's name; RFC 9110 5.6.2. */
bool field_is_token(struct str s);

/* The bytes that a header's value may have, or none; RFC 9110 5.5. */
bool field_is_value(struct str s);

#endif
