#ifndef SPILLWAY_PROXY_AUTH_TOKEN_COMMAND_H
#define SPILLWAY_PROXY_AUTH_TOKEN_COMMAND_H

/*
 * `spillway token`: makes a token, for development and for trying things out.
 * Real ones come from whoever knows the users.
 */

/* As main: argv[0] is "token". Returns the exit status. */
int token_command(int argc, char **argv);

#endif
