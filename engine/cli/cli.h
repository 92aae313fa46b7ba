/* SPDX-License-Identifier: MIT */
/*
 * The command line: gangway <noun> <verb>.  Every command is a row of one
 * table (cli.c); main hands over its arguments and exits with what comes back.
 *
 * Exit codes: 0 done; 1 the answer is "no" (tests failed, an audit that does
 * not verify, a run that is blocked); 2 what was given is wrong (usage, an
 * input, a graph or a rule set with errors); 3 a run-time failure; 4 not found;
 * 5 a conflict; 6 busy; 70 out of memory; 74 the store failed.
 * docs/reference/commands.md says them to users.
 */
#ifndef CLI_H
#define CLI_H

int cli_main(int argc, char **argv);

#endif
