#ifndef SPILLWAY_CONF_SYNTAX_H
#define SPILLWAY_CONF_SYNTAX_H

#include "conf/faults.h"
#include "conf/source.h"

/*
 * Check how a file is built: names, signs, braces, blocks. What is wrong joins
 * `faults`, and leaves blanks in the text, so that libconfuse, which stops at
 * the first name it does not know, understands all that is left and the values
 * in it are checked as well.
 */
void syntax_check(struct source *s, struct faults *faults);

#endif
