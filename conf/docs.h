#ifndef SPILLWAY_CONF_DOCS_H
#define SPILLWAY_CONF_DOCS_H

#include "proxy/base/buf.h"

/*
 * The documents that are made from the table of directives: append the sample
 * file, spillway.conf, or the manual, spillway.conf(5).
 */
int docs_sample(struct buf *out);
int docs_manual(struct buf *out);

#endif
