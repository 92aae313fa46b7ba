/* SPDX-License-Identifier: MIT */
/*
 * The tables.  record is append-only under a monotonic key, so that a commit of
 * many runs writes few pages and fills them; the index finds a run's records.
 * run's row is written when a run starts, changes status, and ends; never for
 * an ordinary step.
 */
#ifndef STORE_SQLITE_SCHEMA_H
#define STORE_SQLITE_SCHEMA_H

#define STORE_SCHEMA_VERSION 1
#define STORE_APPLICATION_ID 0x47575931 /* "GWY1" */

#define STORE_SCHEMA                                                                               \
	"CREATE TABLE meta(name TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT, WITHOUT ROWID;"      \
	"CREATE TABLE run(no INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, graph TEXT NOT NULL,"   \
	" correlation_id TEXT NOT NULL, status INTEGER NOT NULL, created_ms INTEGER NOT NULL,"     \
	" updated_ms INTEGER NOT NULL, wake_ms INTEGER, exclusive TEXT, summary TEXT NOT NULL,"    \
	" UNIQUE(graph, correlation_id)) STRICT;"                                                  \
	"CREATE UNIQUE INDEX run_exclusive ON run(exclusive) WHERE exclusive IS NOT NULL;"         \
	"CREATE INDEX run_open ON run(status, no) WHERE status < 10;"                              \
	"CREATE INDEX run_wake ON run(wake_ms) WHERE wake_ms IS NOT NULL;"                         \
	"CREATE TABLE record(id INTEGER PRIMARY KEY, run INTEGER NOT NULL, seq INTEGER NOT NULL,"  \
	" hash BLOB NOT NULL, body TEXT NOT NULL, UNIQUE(run, seq)) STRICT;"                       \
	"CREATE TABLE snapshot(run INTEGER PRIMARY KEY, seq INTEGER NOT NULL, body TEXT NOT NULL)" \
	" STRICT;"                                                                                 \
	"CREATE TABLE task(id TEXT PRIMARY KEY, run INTEGER NOT NULL, status INTEGER NOT NULL,"    \
	" role TEXT, owner TEXT, due_ms INTEGER, body TEXT NOT NULL) STRICT;"                      \
	"CREATE INDEX task_run ON task(run);"                                                      \
	"CREATE INDEX task_open ON task(status, due_ms) WHERE status < 3;"                         \
	"CREATE TABLE blob(sha256 BLOB PRIMARY KEY, body BLOB NOT NULL) STRICT, WITHOUT ROWID;"    \
	"CREATE TABLE search(run INTEGER NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,"       \
	" PRIMARY KEY(run, name)) STRICT, WITHOUT ROWID;"                                          \
	"CREATE INDEX search_value ON search(name, value, run);"

#endif
