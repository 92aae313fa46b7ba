/* SPDX-License-Identifier: MIT */
/* The owner's door: a Unix socket for commands of other processes.  Private to run/. */
#ifndef RUN_SOCKET_H
#define RUN_SOCKET_H

#include "run/engine.h"

void engine_listen_stop(struct engine *engine); /* fine when it never listened */

#endif
