/* cli/commands.h: the functions behind the rows of cli/commands.c; each is called with its own argv
 * and returns the exit status. */
#ifndef BALLAST_CLI_COMMANDS_H
#define BALLAST_CLI_COMMANDS_H

#include "cli/cli.h"

int command_check(int argc, char **argv);
int command_show(int argc, char **argv);
int command_plan(int argc, char **argv);
int command_upgrade(int argc, char **argv);
int command_reload(int argc, char **argv);
int command_stop(int argc, char **argv);
int command_quit(int argc, char **argv);
int command_reopen(int argc, char **argv);
int command_top(int argc, char **argv);
int command_events(int argc, char **argv);
int command_explain(int argc, char **argv);
int command_backend(int argc, char **argv);
int command_load(int argc, char **argv);
int command_advise(int argc, char **argv);
int command_help(int argc, char **argv);

#endif
