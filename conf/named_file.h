#ifndef SPILLWAY_CONF_NAMED_FILE_H
#define SPILLWAY_CONF_NAMED_FILE_H

#include <stdio.h>

/*
 * Open a file that the configuration names, to read it from its beginning; for
 * fclose(). NULL with errno. A pipe that nobody writes to is waited for some
 * seconds and then refused (ETIMEDOUT): SIGHUP reads such files again while the
 * daemon serves, and has to come to an end.
 */
FILE *named_file_open(const char *path);

#endif
