/* SPDX-License-Identifier: MIT */
/*
 * The engine: one process that owns a store and carries its runs (DESIGN.md 4:
 * decide, record, act).  It has worker loops (a run stays on one of them) and
 * one writer thread that commits what all of them have ready.
 *
 * Everything is asked for with engine_request(): a JSON object with "op"; the
 * same requests travel over the owner's Unix socket (run/socket.h).  Replies are JSON
 * objects; the last one has "last": true.  A failure is
 *   {"last":true,"error":{"code","id","text","hint"}}.
 *
 *   {"op":"run.start","graph","input":{},"correlation_id"?,"wait":bool,"watch":bool,"by"?}
 *       -> {"run":RUN,"is_new":bool} once durable; with watch a {"step":STEP} per record; with wait
 *          {"last":true,"run":RUN} when the run ended, is blocked, or waits only for people.
 *   {"op":"run.wait","run":ID,"watch":bool}
 *   {"op":"run.list","graph"?,"status"?,"where":{name:value}?,"before"?,"since_ms"?,"until_ms"?,
 *    "limit"?}                            -> {"runs":[RUN],"next":no?}
 *   {"op":"run.show","run":ID}            -> {"run":RUN with "data","calls","tasks","advice",
 *                                             "timeline","pins"}
 *   {"op":"run.events","run":ID,"from"?}  -> {"records":[...]} the journal
 *   {"op":"events","after"?:PLACE,"limit"?}  -> {"events":[{"place","run","seq","at","kind",...}],
 *                                             "place"} of all runs, in the order of their commits;
 *                                             without "after" only the place of the last one
 *   {"op":"run.cancel","run":ID,"by","reason"?}
 *   {"op":"run.signal","run":ID,"event":NAME,"data"?,"id"?,"by"?}   id: the same id is taken once;
 *       "session"?, "origin"?, "origintype"?, "raw"?: of an event that another session sent
 *   {"op":"session.post","run":ID,"session","method","content_type"?,"body","id"?,"by"?}
 *       the BasicHTTP event processor (SCXML C.2); answered as run.signal is
 *   {"op":"run.repin","run":ID,"by","reason"?}       to the files as they are now
 *   {"op":"run.replay","run":ID}          -> {"replay":{"ok":bool,"records":N,"differs":[...]}}
 *   {"op":"run.resume","run":ID,"by","reason"?}      a blocked run tries the same once more
 *   {"op":"run.retry","run":ID,"by","reason"?}       the failed call that blocks it goes out again
 *   {"op":"run.fork","run":ID,"seq":N,"correlation_id"?,"by","reason"?}
 *                                         -> {"run":RUN,"is_new"} another run that begins there
 *   {"op":"run.explain","run":ID}         -> {"explain":{"text","happened","why","decision"?,
 *                                             "waits_for"?,"must_act","errors"}}
 *   {"op":"run.batch","starts":[{"graph","input"?,"correlation_id"?}],"key"?,"by"}
 *                                         -> {"results":[{"run","is_new",...}|{"error"}]} once all
 *                                            are durable, in one commit
 *   {"op":"run.bulk","action":"cancel"|"signal"|"retry"|"resume"|"repin","graph"?,"status"?,
 *    "where"?,"since_ms"?,"until_ms"?,"before"?,"limit"?,"dry_run"?:bool,"event"?,"data"?,"id"?,
 *    "reason"?,"by"}                      -> {"matched":N,"results":[...],"next":no?}
 *   {"op":"run.picture","run":ID}         -> {"picture":{"dot":text,"states":{id:{"times","ms",
 *                                             "since"?,"failed"?}}}}
 *   {"op":"task.list","role"?,"owner"?,"status"?,"run"?,"overdue"?:bool,
 *    "due_before_ms"?,"limit"?}
 *                                         -> {"tasks":[TASK]}
 *   {"op":"task.show","task":ID}          -> {"task":TASK,"etag":text}
 *   {"op":"task.answer","task":ID,"by","comment"?,"shown_sha256"?,"teams"?:[...],
 *    "outcome":"approved"|"rejected"|"done"|"happened"|"repeat"|"failed"}
 *   {"op":"task.assign","task":ID,"by","role"?,"owner"?,"due_ms"?,"comment"?,
 *    "etag"?,"teams"?}                    -> {"task":TASK,"etag"}
 *   {"op":"audit.show","run":ID}          -> {"audit":{...}}
 *   {"op":"audit.verify","run":ID,"file"?:{...}}
 *                                         -> {"verify":{"ok","findings":[{"seq","text"}],
 *                                                       "first_bad"?}}
 *   {"op":"audit.head","head":{...}}      -> {"findings":[...],"newest":n}
 *                                            is the store what a signed head says
 *   {"op":"token.new","sha256":HEX,"owner","roles":[...],"teams"?:[...],"data"?:bool,
 *    "expires_ms"?,"by"}
 *                                         -> {"token":TOKEN}
 *   {"op":"token.list"}                   -> {"tokens":[TOKEN]}
 *   {"op":"token.revoke","id","by"}       -> {"token":TOKEN}
 *   {"op":"schedule.add","name","graph","cron","zone"?,"input"?:{}|[{}],"input_from"?:path,
 *    "missed"?:"one"|"all"|"skip","paused"?:bool,"by"} -> {"schedule":SCHEDULE,"etag"}
 *   {"op":"schedule.set",... "etag"?}     the same, instead of the one of that name
 *   {"op":"schedule.list"}                -> {"schedules":[SCHEDULE]}
 *   {"op":"schedule.show"|"schedule.pause"|"schedule.resume"|"schedule.remove","name","etag"?,"by"}
 *                                         -> {"schedule":SCHEDULE,"etag"}
 *   {"op":"schedule.trigger","name","key"?,"by"}, {"op":"schedule.backfill","name","from_ms",
 *    "to_ms","by"}                        -> {"results":[...]} as of run.batch
 *   {"op":"access.note","what":{...}}     -> {} on record, unless too many came this second
 *   {"op":"access.list","from"?,"limit"?} -> {"records":[...],"next":no?}
 *   {"op":"access.verify"}                -> {"verify":{"ok","records","findings","head"}}
 *   {"op":"wire.ask","connection","method"?,"path","body"?,"retries"?,"timeout_ms"?}
 *                                         -> {"code","body":text} of no run, on no record
 *   {"op":"figures","as"?}                -> {"figures":{name:{"type","samples":[...]}}}; {"text"}
 *                                            with "as" "text" (Prometheus) or "openmetrics"
 *   {"op":"versions","graph"?}            -> {"versions":[{"graph","release","pins"}|{"graph",
 *                                             "error"}]}: what runs would start with now
 *   {"op":"doctor"}                       -> {"doctor":{...}}
 *   {"op":"store.backup","path"}          -> {"path"}
 *   {"op":"serve.reload"}                 -> {"reload":[{"what","ok","text"}]}
 *   {"op":"serve.log","level"?}           -> {"level"}
 *   {"op":"stop"}                         ends the owner (serve)
 *
 * run.start takes "delivery" too: a name by which run.list finds the run
 * ("where":{"gw:delivery":...}).
 *
 * TOKEN, who may ask over HTTP:
 *      {"id","sha256","owner","roles","data","created_at","expires_ms"?,"by"}
 * RUN: {"id","no","graph","correlation_id","status","created_at","updated_at","wake_at","states",
 *       "search":{"decision":...},"reason","waits_for","result","took_ms","artifacts":[path]}
 */
#ifndef RUN_ENGINE_H
#define RUN_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "machine/scripting.h"

struct engine;
struct metrics;
struct release;
struct engine_ground; /* run/ground.h */
struct plugins;

struct engine_options {
	const char *store_path;               /* "memory:" for a store that forgets */
	const char *graphs, *rules, *prompts; /* folders */
	const char *artifacts;                /* folder for reports, mails, audits */
	bool has_no_audit_files;              /* an audit is told when it is asked for, not filed */
	const json_t *connections;            /* {name: {...}} as wire_connection_new takes them */
	const char *version;                  /* of the engine */
	/* Where others reach sessions by HTTP: "/<session id>" follows; NULL: nowhere. */
	const char *http_location;
	int workers; /* 0: one per core */
	/* Only to be asked about what is on record: no connections, nothing is recovered or
	 * woken.  For requests that change nothing (cli_engine.c lists them). */
	bool is_looking;
	int resident_max;     /* LIMIT_RESIDENT_RUNS; 0: that */
	bool keeps_schedules; /* what is scheduled fires */
	struct clock clock;
	struct plugins *plugins; /* outlives the engine; one that kills it may be quarantined */
	const struct scripting_ops *scripting; /* of Lua, which run/ must not include */
	int64_t script_ms;                     /* wall time of one evaluation; 0: LIMIT_LUA_MS */
	/* One structured line per event worth an operator's attention; may be NULL. */
	void (*log)(void *ctx, const json_t *line);
	void *log_ctx;
	/* Would a line of this level be written?  NULL: all are. */
	bool (*logs)(void *ctx, const char *level);
	/* A server's: what release.h says of release_guard.  NULL: what is in the files counts. */
	int (*release_check)(void *ctx, struct release *release, struct err *err);
	/* Carries out "serve.reload" and "serve.log": a new reply.  NULL: nobody does. */
	json_t *(*control)(void *ctx, const json_t *request);
	void *program_ctx;      /* of release_check and control */
	const char *audit_key;  /* PEM, Ed25519: heads are signed; NULL: none are made */
	const char *heads_file; /* each signed head is appended as a line; NULL: only stored */
	const struct engine_ground *ground; /* NULL: the usual one; outlives the engine */
};

/*
 * Opens the store (ERR_BUSY: another process owns it), recovers every open run
 * and starts the loops.  Recovery has happened when this returns.
 */
int engine_open(const struct engine_options *options, struct engine **ret,
                struct err *err) ATTR_MUST_USE;
/* Stops taking work, lets what is being committed finish, frees.
 * Open calls are left to recovery. */
void engine_close(struct engine *engine);

/*
 * Looks whether files of graphs, rules and prompts changed, and checks them (release_check);
 * [{"what","ok","text"}] of those that did; new.
 */
json_t *engine_look(struct engine *engine);
/* Other connections from now on: all of them, or none with err.  What is under way ends over the
 * connection that it began with; one whose settings are the same keeps breaker and tokens. */
int engine_set_connections(struct engine *engine, const json_t *connections,
                           struct err *err) ATTR_MUST_USE;

/* What it counts; others of this process may count there too.  Until engine_close(). */
struct metrics *engine_metrics(struct engine *engine);

/* reply is borrowed; called on a thread of the engine's, once or more,
 * the last time with is_last. */
typedef void engine_reply_cb(void *arg, const json_t *reply, bool is_last);
/* Thread-safe.  request is borrowed. */
void engine_request(struct engine *engine, const json_t *request, engine_reply_cb *cb, void *arg);
/*
 * Who waits for a run with this cb and arg no longer does: its last reply comes now, with the run
 * as it is, unless it is on its way already.
 */
void engine_leave(struct engine *engine, const char *run_id, engine_reply_cb *cb, void *arg);
/* Shows cb the valid token with this hash (borrowed); false: there is none.  Any thread. */
typedef void engine_token_cb(void *arg, const json_t *token);
bool engine_token_find(struct engine *engine, const char *sha256, engine_token_cb *cb, void *arg);
/*
 * From now on cb is told of each durable record, on the run's own thread: it must not block.  Once,
 * before any request; arg lives until engine_close() has returned.
 */
typedef void engine_record_cb(void *arg, const char *run_id, int64_t seq);
void engine_on_record(struct engine *engine, engine_record_cb *cb, void *arg);
/* Returns when no run is in memory: what is open waits for people, time or a repin. */
void engine_wait_rest(struct engine *engine);

/*
 * What the engine would say of the parameters of a built-in action (approval, checklist, tasks,
 * gw:run), for those who try a graph without an engine.
 */
bool engine_is_built_in(const char *type);
struct effect;
int engine_check_built_in(const struct effect *effect, struct err *err) ATTR_MUST_USE;

/* The owner's door: a Unix socket beside the store; one JSON object per line each way. */
int engine_listen(struct engine *engine, const char *socket_path, struct err *err) ATTR_MUST_USE;
/* Client side, blocking: sends one request, gives each reply to cb until the last.
 * ERR_ABSENT: nobody listens. */
int engine_ask(const char *socket_path, const json_t *request,
               void (*cb)(void *arg, const json_t *reply, bool is_last), void *arg,
               struct err *err) ATTR_MUST_USE;

#endif
