#ifndef SPILLWAY_PROXY_COMPARE_COMMAND_H
#define SPILLWAY_PROXY_COMPARE_COMMAND_H

/*
 * `spillway compare`: what each transport costs, measured from a terminal
 * against any gateway.
 */

/* As main: argv[0] is "compare". Returns the exit status. */
int compare_command(int argc, char **argv);

#endif
