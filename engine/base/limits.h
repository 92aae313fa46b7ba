/* SPDX-License-Identifier: MIT */
/*
 * Every limit of the system, once, with unit and reason.  What is refused is
 * refused with the limit's name.  "config" marks those that gangway.lua may
 * change (its key is the name in lower case without LIMIT_).
 */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

/* Graphs (DESIGN 9, RELIABILITY rows 1-18). */
#define LIMIT_GRAPH_BYTES (1024 * 1024)
#define LIMIT_GRAPH_ELEMENTS 50000
#define LIMIT_GRAPH_DEPTH 64
#define LIMIT_GRAPH_ATTRIBUTES 64         /* per element; row 8 */
#define LIMIT_GRAPH_ATTRIBUTE_BYTES 65536 /* long Lua expressions are legal */
#define LIMIT_GRAPH_NAMESPACES 256        /* declarations in force at one place */
#define LIMIT_FOLDER_FILES 1000           /* files of a graph's or rule set's folder */
#define LIMIT_FOLDER_BYTES (16 * 1024 * 1024)

/* Lua (DESIGN 9). */
#define LIMIT_RULE_BYTES (64 * 1024)
#define LIMIT_LUA_STEPS 200000 /* instructions and charged work, per evaluation; config */
#define LIMIT_LUA_BYTES (8 * 1024 * 1024) /* config */
#define LIMIT_LUA_MS 250                  /* wall clock backstop */
#define LIMIT_LUA_STRING_BYTES (1024 * 1024)
#define LIMIT_RULE_RESULT_BYTES (64 * 1024)

/* JSON (rows 31-36). */
#define LIMIT_JSON_BYTES (1024 * 1024)
#define LIMIT_JSON_DEPTH 64
#define LIMIT_JSON_NODES 50000

/* JSON Schema (schema/). */
#define LIMIT_SCHEMA_NODES 20000     /* subschemas of one schema and all it refers to */
#define LIMIT_SCHEMA_NESTING 128     /* subschemas inside one another, in one file */
#define LIMIT_SCHEMA_DEPTH 512       /* schemas in force at once during a check; stack */
#define LIMIT_SCHEMA_STEPS 2000000   /* schemas applied in one check */
#define LIMIT_PATTERN_BYTES 4096     /* one regular expression, as translated */
#define LIMIT_PATTERN_STEPS 20000000 /* items tried and bytes passed over in one check */
#define LIMIT_PATTERN_KIB 4096       /* backtracking memory of one match */
#define LIMIT_SHOWN_BYTES 80         /* of a value in an error text */

/* Runs. */
#define LIMIT_MICROSTEPS 1000       /* per macrostep: a livelock beyond it */
#define LIMIT_INLINE_MACROSTEPS 100 /* completions of PURE calls within one step */
#define LIMIT_CALLS_PER_RUN 10000
#define LIMIT_QUEUE_EVENTS 1000  /* events waiting in one run */
#define LIMIT_CHILD_SESSIONS 100 /* SCXML children of one run, all levels */
#define LIMIT_EVENT_NAME_BYTES 256
#define LIMIT_CORRELATION_ID_BYTES 200
#define LIMIT_BATCH_STARTS 1000   /* in one batch, which is one commit */
#define LIMIT_RESIDENT_RUNS 10000 /* in memory at once; starts from outside wait then; config */
#define LIMIT_SCHEDULES 1000
#define LIMIT_EACH_ELEMENTS 1000  /* elements of one gw:each */
#define LIMIT_SNAPSHOT_RECORDS 64 /* records between snapshots */
#define LIMIT_HEAD_RECORDS 1000   /* records that no signed head covers yet */
#define LIMIT_HEAD_MS 60000       /* the longest that a record waits for one */

/* The wire. */
#define LIMIT_REPLY_BYTES (8 * 1024 * 1024) /* decoded */
#define LIMIT_REQUEST_BYTES (4 * 1024 * 1024)
#define LIMIT_REPLY_HEADERS_BYTES (256 * 1024)
#define LIMIT_REPLY_HEADERS 1000  /* lines of one reply */
#define LIMIT_WAITING 10000       /* requests waiting for one connection */
#define LIMIT_MAIL_RECIPIENTS 100 /* of one mail */
#define LIMIT_HEADERS 64          /* that a plugin may set on one request */
#define LIMIT_URL_BYTES 16384     /* what Salesforce accepts; WIRE.md 1 */
#define LIMIT_REQUESTS_PER_CALL 100
#define LIMIT_RETRIES 10
#define LIMIT_TIMEOUT_MS (10 * 60 * 1000)

/* Plugins (DESIGN 5). */
#define LIMIT_PLUGIN_BYTES (64 * 1024 * 1024) /* of one .so */
#define LIMIT_PLUGIN_ACTIONS 200
#define LIMIT_PLUGIN_ERRORS 500                /* rows of one error table */
#define LIMIT_PLUGIN_TEXT_BYTES 65536          /* one schema or summary of a descriptor */
#define LIMIT_PLUGIN_STATE_BYTES (1024 * 1024) /* state_size of one action */
#define LIMIT_PLUGIN_LOAD_MS 10000      /* start-up code of a plugin, tried in a child process */
#define LIMIT_LATER_MS (60 * 60 * 1000) /* host->later */
#define LIMIT_CALL_NOTES 100            /* notes, and facts, of one call */
#define LIMIT_CALL_NOTE_BYTES 2000

/* What operators see. */
#define LIMIT_METRIC_SERIES 2000 /* of one family; the rest counts as "other" */

/* Files and the command line. */
#define LIMIT_CONFIG_BYTES (256 * 1024)
#define LIMIT_TEMPLATE_BYTES (256 * 1024)
#define LIMIT_ARTIFACT_BYTES (1024 * 1024)
#define LIMIT_SECRET_BYTES (16 * 1024)
#define LIMIT_SOCKET_MESSAGE_BYTES (16 * 1024 * 1024)
#define LIMIT_BLOB_INLINE_BYTES (64 * 1024) /* larger payloads become content-addressed blobs */

#endif
