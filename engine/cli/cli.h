/* SPDX-License-Identifier: MIT */
/*
 * The command line: gangway <noun> <verb>.  Every command is a row of one
 * table (cli.c); main hands over its arguments and exits with what comes back.
 *
 * Exit codes: 0 done; 1 the answer is "no" (tests failed, an audit that does
 * not verify, a run that is blocked); 2 wrong input or usage; 3 a run-time
 * failure; 4 not found; 5 a conflict; 6 busy; 70 out of memory; 74 the store
 * failed.
 */
#ifndef CLI_H
#define CLI_H

int cli_main(int argc, char **argv);

#endif
