/* SPDX-License-Identifier: MIT */
/*
 * What the files of run/ share: the engine, its workers, the writer, resident
 * runs and their calls.  Who touches what: a struct run and everything below it
 * belongs to its worker's loop; the writer sees only struct commit; the engine's
 * shared parts say how they are guarded.
 */
#ifndef RUN_INT_H
#define RUN_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/loop.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/vec.h"
#include "journal/journal.h"
#include "machine/machine.h"
#include "plugin/plugin.h"
#include "release/release.h"
#include "schema/schema.h"
#include "run/engine.h"
#include "run/ground.h"
#include "store/store.h"
#include "wire/wire.h"

struct run;
struct worker;

/* --- the loop (run_loop.c) -------------------------------------------------- */

struct loop *run_loop_new(struct clock clock);
/* Calls back each time the loop has nothing more to do at once; at most one per loop. */
void run_loop_before_wait(struct loop *loop, loop_wake_cb *cb, void *arg);
void run_loop_run(struct loop *loop);  /* until it is stopped */
void run_loop_stop(struct loop *loop); /* from one of its own callbacks */
void run_loop_free(struct loop *loop); /* closes what is still open */

/* --- messages between threads ------------------------------------------------ */

enum message_kind {
	MESSAGE_REQUEST,   /* of engine_request */
	MESSAGE_COMMITTED, /* from the writer */
	MESSAGE_WAKE,      /* look for due runs */
	MESSAGE_HEAD,      /* to the writer: sign what is not covered */
	MESSAGE_STOP
};

/* Somebody who waits for replies. */
struct asker {
	engine_reply_cb *cb;
	void *arg;
};

struct commit;

struct message {
	struct message *next;
	enum message_kind kind;
	json_t *request;
	struct asker asker;
	int64_t run_no;        /* REQUEST: the run it is about, or 0 */
	struct commit *commit; /* COMMITTED */
	size_t chain;          /* this many from here on are committed together; 0: one */
};

/* Messages that one thread gathers, to hand them over at once. */
struct message_list {
	struct message *first, **last; /* last is NULL while it is empty */
	size_t len;
};
void message_list_add(struct message_list *list, struct message *message);

struct message_queue {
	pthread_mutex_t lock;
	pthread_cond_t filled; /* the writer waits on it */
	struct message *first, **last;
	size_t len;
};
void message_queue_init(struct message_queue *queue);
void message_queue_release(struct message_queue *queue);
bool message_queue_push(struct message_queue *queue,
                        struct message *message); /* true: it was empty */
/* Empties the list into the queue. */
bool message_queue_push_all(struct message_queue *queue, struct message_list *list);
struct message *message_queue_take_all(struct message_queue *queue, bool wait);

/* --- commits ------------------------------------------------------------------ */

/* One run's next durable item: made by the worker, committed by the writer, handed back. */
struct commit {
	struct message message; /* its way there and back */
	struct run *run;
	struct worker *worker;
	VEC(struct store_op) ops; /* the item points here once it is complete */
	VEC(char *) owned;        /* freed with the commit */
	VEC(json_t *) owned_json;
	struct store_item item;
	struct asker asker; /* told once it is durable; cb NULL: nobody */
	/* Instead of what a run does then; NULL: the usual.  Such a commit has no run. */
	void (*done)(struct commit *commit);
	/* What to do once it is durable, decided when it was made. */
	json_t *artifacts;               /* [{"name","text"}] to write, or NULL */
	json_t *line;                    /* what watchers are shown, or NULL */
	json_t *body;                    /* the record; NULL: none is in it */
	json_t *reply;                   /* what the asker is told; NULL: the run */
	json_t *call;                    /* the effect of the call that this step ended, or NULL */
	int status_before, status_after; /* of the run; before 0: a start */
	bool is_start;
	json_t *start_input; /* of a start, for the case that it is refused */
	bool ends_run;       /* status is final in this commit */
	bool is_filed;       /* only says that the files are written: the row owes nothing now */
};

struct writer {
	pthread_t thread;
	struct message_queue queue;
	struct engine *engine;
};
void writer_init(struct writer *writer, struct engine *engine);
int writer_start(struct writer *writer);
void writer_stop(struct writer *writer);
void writer_stop_process(struct engine *engine, const struct err *err); /* the store failed */
void writer_want_head(struct engine *engine);                           /* soon; any thread */
void writer_release(struct writer *writer); /* drops what was never committed */
/* A complete commit; it is handed over with the others of this turn of the loop. */
void writer_post(struct engine *engine, struct message *message);
void writer_hand_over(struct worker *worker); /* now, what this worker has for it */
/* All of them behind each other, with nothing between. */
void writer_post_chain(struct engine *engine, struct message *first, struct message **last,
                       size_t count);

/* Syncs files before the commits that say they are there (run_filer.c). */
struct filer {
	pthread_t thread;
	struct message_queue queue;
	struct engine *engine;
	pthread_mutex_t lock;
	pthread_cond_t stopped; /* with lock: is_stopping is set */
	bool is_stopping;
	bool is_running;
};
void filer_start(struct filer *filer, struct engine *engine);
void filer_stop(struct filer *filer); /* what waits goes to the writer first */
void filer_post(struct filer *filer, struct message *message);

/* --- calls ---------------------------------------------------------------------- */

enum call_state {
	CALL_HELD,   /* on its way to the record */
	CALL_OPEN,   /* released, or waiting for a person */
	CALL_UNSURE, /* may have happened; a person must look */
	CALL_ENDED
};

/* One invocation of an action, or of a built-in that takes time. */
struct call {
	struct run *run;
	uint64_t number;
	uint32_t element;
	bool is_send;
	bool is_cancelled; /* the chart no longer wants it */
	bool is_built_in;  /* approval, checklist, tasks, gw:run */
	bool is_post;      /* an event for another run, or over HTTP */
	enum call_state state;
	json_t *effect;             /* as effect_to_json gave it */
	json_t *requests;           /* recorded ones by ordinal: [plugin_request JSON] */
	struct plugin_call *plugin; /* NULL when not running here */
	int64_t opened_ms;
	json_t *answers; /* what came back per request; NULL: nothing yet */
	bool may_have_happened;
	bool is_lookup; /* what runs asks whether it happened */
	int lookups;
	struct plugin_call_hooks hooks;
	struct call *next_dead; /* in the worker's list of those to be freed */
};

/* --- a run ------------------------------------------------------------------------ */

enum intake_kind {
	INTAKE_INPUT,   /* an input of the machine */
	INTAKE_REQUEST, /* a later request of a call: to be recorded, then released */
	INTAKE_TASK,    /* a checklist item was answered */
	INTAKE_REPIN,
	INTAKE_UNSURE, /* a call turned out to be unsure */
	INTAKE_REPEAT, /* a person says that an unsure call is to be repeated */
	INTAKE_RESUME, /* what is blocked is tried once more */
	INTAKE_RETRY,  /* the call whose failure blocks goes out once more */
	INTAKE_FORK,   /* the first record of a run that begins where another one stood */
	INTAKE_ASSIGN  /* a task goes to somebody else */
};

/* Something that waits to be decided; one at a time, in order. */
struct intake {
	struct intake *next;
	enum intake_kind kind;
	struct input input; /* data, failure, event are owned */
	uint64_t number;
	uint32_t element, ordinal;
	/* REQUEST: the request; TASK: the answer; RESULT: {"attempts","took_ms",...}. */
	json_t *extra;
	struct asker asker; /* cb NULL: nobody waits */
	char *label;        /* id of a signal that is taken once; NULL: none */
	const char *by;     /* who asked; points into extra; NULL: nobody */
	const char *task;   /* the task this result answers; points into extra */
};

struct watcher {
	struct watcher *next;
	struct asker asker;
	bool wants_steps, wants_end;
};

struct run {
	struct worker *worker;
	int64_t no;
	char *id, *graph, *correlation_id, *exclusive;
	char *delivery;      /* the name it was delivered under, to be found by; NULL */
	char *started_by;    /* who asked for it; NULL: nobody said */
	char *http_location; /* of its sessions, as it was at the start; NULL: none */
	int status;          /* enum store_status as stored */
	int64_t wake_ms;     /* as stored; -1: none */
	bool is_cancelled;   /* somebody cancelled it: it ends as STORE_CANCELLED */
	int64_t created_ms, updated_ms;
	uint64_t seed;
	struct release *release;
	struct machine *machine; /* NULL while blocked */
	struct machine_env env;
	struct journal_head head;
	int64_t snapshot_seq;
	struct arena step;        /* cleared after each step */
	VEC(struct call *) calls; /* open ones */
	json_t *advice;           /* {name: {"source","data","error"}} */
	json_t *checklists;       /* {number: {"items":[...]}} */
	json_t *tasks;            /* {task id: body} open ones */
	json_t *signals;          /* {id: true} of signals taken, for at-most-once */
	json_t *artifacts;        /* [name] */
	json_t *builds;           /* {plugin: {"version","sha256"}} that records name already */
	json_t *reason;           /* why it is blocked: {"id","text"}; NULL */
	/* {"input","call"?} to be tried again after a repin; NULL.  Without a reason: the repin
	 * is on record, the retry is not yet. */
	json_t *blocked;
	json_t *result;               /* of the ended run; NULL */
	struct intake *first, **last; /* what waits to be decided */
	size_t intake_count;
	bool is_committing;
	bool is_deciding; /* what arrives now waits for the record of this step */
	bool is_replaying;
	const json_t *replay;   /* the record being replayed: refusals come from it */
	json_t *step_advice;    /* of the step being decided: {name: advice} */
	json_t *step_artifacts; /* of the step being decided */
	struct watcher *watchers;
	struct loop_timer *timer; /* for the next due delayed send */
	int64_t timer_due_ms;
	int64_t last_step_ms;
	bool is_evicting;
	bool is_unreadable; /* what was read of it is not whole: it must leave memory */
	bool is_unfiled;    /* files were written since they were last synced */
	bool is_unwritten;  /* one could not be */
	bool owes_files;    /* its row says that files of the last record are still to be written */
	bool is_parked;     /* blocked, and not counted as resident: only a person moves it */
	bool is_detached;   /* made for verify: in no map, acts on nothing */
	/* Of verify: inline answers are made anew and compared; borrowed. */
	json_t *verify_findings;
	int64_t verify_seq;
	/* For verify: sees each step as it is replayed. */
	void (*on_replayed)(void *arg, const json_t *record, const struct effects *effects);
	void *on_replayed_arg;
};

/* --- workers and the engine --------------------------------------------------------- */

struct worker {
	struct engine *engine;
	int index;
	pthread_t thread;
	struct loop *loop; /* our own, or the ground's */
	struct loop_wake *wake;
	struct message_queue inbox;
	struct message_list outbox; /* for the writer: handed over when the loop is about to wait */
	struct message_list done;   /* what the writer has for this worker; the writer's alone */
	struct wire *wire;
	void *script;
	struct map runs; /* resident: decimal no -> struct run */
	struct loop_timer *due_timer;
	VEC(int64_t) unloaded; /* could not be taken up after a start; tried again */
	struct loop_timer *unloaded_timer;
	struct loop_timer *head_timer; /* of the first worker */
	int64_t due_at_ms;             /* what it is armed for */
	/* While a batch is decided: its commits, to be handed over as one chain (run_many.c). */
	struct message *held, **held_last;
	size_t held_count;
	bool is_holding;
	struct commit *held_pins; /* the batch's releases, ahead of its starts */
	json_t *held_releases;    /* {sha256: true} of those in it */
	struct call *dead_calls;  /* ended inside a callback of their own; freed outside it */
	bool is_stopping;
	size_t commits_open;
};

struct engine {
	struct engine_options options;
	const struct engine_ground *ground; /* NULL: threads, libuv, curl, files */
	struct rand rand;
	struct store *store;
	struct releases *releases;
	struct map connections;   /* name -> struct wire_connection; guarded by lock */
	json_t *connections_json; /* what they were made from; guarded by lock */
	VEC(struct wire_connection *) old_connections; /* calls may still be under way over them */
	pthread_mutex_t looking;                       /* engine_look(), one at a time */
	json_t *looked;         /* what it has found; the cache of releases guards it */
	struct map rulesets;    /* hash -> void *; guarded by lock */
	struct map known_blobs; /* hashes the store has; guarded by lock */
	pthread_mutex_t lock;
	struct worker *workers;
	int worker_count;
	struct writer writer;
	struct filer filer; /* not running where the ground keeps the files */
	atomic_llong next_no;
	atomic_llong resident; /* runs in memory or about to be taken up, all workers */
	pthread_cond_t rested; /* with lock: resident has become 0 */
	atomic_uint round_robin;
	bool is_running;
	bool is_broken;              /* the store failed: nothing is committed any more */
	struct run_door *door;       /* the Unix socket, or NULL */
	struct run_crumb *crumb;     /* mapped; NULL: none */
	struct heads *heads;         /* run_heads.c; NULL: none are made */
	struct tokens *tokens;       /* run_token.c */
	struct schedules *schedules; /* run_schedule.c */
	struct access *access;       /* run_access.c */
	_Atomic(engine_record_cb *) on_record;
	void *on_record_arg;
	struct metrics *metrics; /* run_figures.c */
	struct metric *commit_seconds, *commit_items, *sync_seconds;
	atomic_llong open_runs[STORE_ENDED]; /* by status */
	json_t *task_roles;                  /* that were ever seen; guarded by lock */
};

int64_t engine_now(const struct engine *engine);
/* Is a line of this level worth making? */
bool engine_logs(const struct engine *engine, const char *level);
/* run_connection.c: the named one as it is now, NULL: none. */
struct wire_connection *engine_connection(struct engine *engine, const char *name);
void look_begin(struct engine *engine); /* run_look.c */
/* The one of that name, or else the first, whose URL the target lies within. */
struct wire_connection *connection_reaching(struct engine *engine, const char *name,
                                            const char *target, const char **ret_path);
int connections_open(struct engine *engine, struct err *err) ATTR_MUST_USE;
void connections_close(struct engine *engine);
json_t *connections_describe(struct engine *engine); /* array; new */
void engine_log(struct engine *engine, const char *level, const char *event, json_t *fields_taken);
/* The compiled rule set of a release, made once per hash; borrowed. */
void *engine_ruleset(struct engine *engine, const struct release *release, const char *set);
void worker_post(struct worker *worker, struct message *message);
void worker_post_all(struct worker *worker, struct message_list *list);
struct worker *engine_worker(struct engine *engine, int64_t run_no);
/* Counts a run in and out of memory; whoever waits for rest is told. */
void engine_count(struct engine *engine, int change);
void worker_bury(struct worker *worker, struct call *call);
/* A run of this worker went to sleep until then (-1: for good). */
/* The run could not be read when it was to be taken up: it is tried again in a while. */
void worker_load_again(struct worker *worker, int64_t no);
void worker_mind(struct worker *worker, int64_t wake_ms);
/* run_crumb.c: which plugin a worker is inside of (NULL: none), in a file that survives a crash. */
void crumb_open(struct engine *engine);
void crumb_close(struct engine *engine);
void crumb_enter(struct worker *worker, const char *plugin);
/* run_view.c: what needs no worker: lists, doctor. */
void engine_query(struct engine *engine, const json_t *request, const struct asker *asker);

/* run_token.c: who may ask over HTTP; kept in the store, changed on the first worker. */
int tokens_open(struct engine *engine, struct err *err) ATTR_MUST_USE;
void tokens_close(struct engine *engine);
bool token_is_op(const char *op);
void token_request(struct worker *worker, const json_t *request, const struct asker *asker);
/* run_access.c: who was denied, who changed what no run's journal tells; on the first worker. */
int access_open(struct engine *engine, struct err *err) ATTR_MUST_USE;
void access_close(struct engine *engine);
bool access_is_op(const char *op);
void access_request(struct worker *worker, const json_t *request, const struct asker *asker);
void access_note(struct worker *worker, json_t *what_taken);

/* run_schedule.c: runs that start by the calendar; on the first worker. */
int schedules_open(struct engine *engine, struct err *err) ATTR_MUST_USE;
void schedules_close(struct engine *engine);
bool schedule_is_op(const char *op);
void schedule_request(struct worker *worker, const json_t *request, const struct asker *asker);
void schedules_arm(struct worker *worker); /* the timer, for what is due next */
/* run_figures.c */
void run_count(const struct run *run, const struct commit *commit);
enum figure {
	FIGURE_BUILD,
	FIGURE_STARTED,
	FIGURE_ENDED,
	FIGURE_BLOCKED,
	FIGURE_RUN_SECONDS,
	FIGURE_RUNS,
	FIGURE_RESIDENT,
	FIGURE_DECISIONS,
	FIGURE_RULES,
	FIGURE_CALLS,
	FIGURE_CALL_SECONDS,
	FIGURE_ATTEMPTS,
	FIGURE_BREAKER,
	FIGURE_IN_FLIGHT,
	FIGURE_WAITING,
	FIGURE_QUEUE,
	FIGURE_COMMIT,
	FIGURE_SYNC,
	FIGURE_ITEMS,
	FIGURE_TASKS,
	FIGURE_OVERDUE,
	FIGURE_TOKENS,
	FIGURE_GEN_AI,
	FIGURE_COST,
	FIGURE_RELOADS
};
void figures_open(struct engine *engine);
int figures_store(struct engine *engine, struct err *err) ATTR_MUST_USE;
void figures_close(struct engine *engine);
void figures_commit(struct engine *engine, size_t items, int64_t took_ns);
void figures_reload(struct engine *engine, const char *what, bool ok);
void figures_attempt(struct engine *engine, const json_t *span); /* as wire_options.trace */
/* {"figures":{...}} as metrics_json, or {"text"} for "text" and "openmetrics"; new. */
json_t *engine_figures(struct engine *engine, const char *as);
json_t *engine_plugins(const struct engine *engine);
/* An asker that will never be told otherwise: the engine is stopping. */
void reply_stopping(const struct asker *asker);

/* Replies; each makes one JSON object and calls back. */
void reply_last(const struct asker *asker, json_t *reply_taken);
void reply_error(const struct asker *asker, const struct err *err);

/* run_life.c: resident runs. */
struct run *run_new(struct worker *worker, int64_t no, const char *id, const char *graph,
                    const char *correlation_id);
/* The same outside the worker's map: for looking at a run without being it. */
struct run *run_new_detached(struct worker *worker, int64_t no, const char *id, const char *graph,
                             const char *correlation_id);
void run_free(struct run *run);
void run_forget_watchers(struct run *run);
int run_rebuild(struct run *run,
                struct err *err) ATTR_MUST_USE;              /* after a block or before a repin */
struct run *run_resident(struct worker *worker, int64_t no); /* NULL: not in memory */
int run_load(struct worker *worker, int64_t no, struct run **ret, struct err *err) ATTR_MUST_USE;
void run_evict(struct run *run);
/* Whoever waits is told; it is read again in a while. */
void run_leave_unreadable(struct run *run);
struct call *run_call(struct run *run, uint64_t number, uint32_t element);
void run_call_drop(struct run *run, struct call *call); /* it is freed a little later */
void call_free(struct call *call);
struct call *run_call_add(struct run *run, json_t *effect_taken);
bool run_has_search(const struct run *run);    /* has the graph a datum marked gw:search? */
json_t *run_summary(const struct run *run);    /* new */
json_t *run_state_save(const struct run *run); /* for snapshots; new */
int run_state_restore(struct run *run, const json_t *saved, struct err *err) ATTR_MUST_USE;

/* Is the value what a schema file of the graph's folder says?  file NULL: anything is. */
int run_check_schema(const struct release *release, const char *file, const json_t *value,
                     const char *what, struct err *err) ATTR_MUST_USE;

/* run_advice.c: what an advisory call said (data), or its fallback (failure: why it did not). */
struct advised {
	const char *name, *type, *fallback; /* fallback NULL: none */
	const json_t *params;
	uint64_t number;
};
int run_advise(struct run *run, const struct advised *call, const json_t *data,
               const json_t *failure, struct err *err) ATTR_MUST_USE;

/* run_env.c: machine_env of a run, and the machine's making. */
void run_env_init(struct run *run);
struct machine_options run_machine_options(struct run *run);

/* run_intake.c: what waits its turn. */
void run_intake(struct run *run, struct intake *intake_taken);
struct intake *intake_new(enum intake_kind kind);
void intake_free(struct intake *intake);
/* Taken from the queue and not decided: whoever waits for it is told. */
void intake_refuse(const struct intake *intake, const char *id, const char *text);
/* What comes next, NULL: nothing; the caller's. */
struct intake *run_next_intake(struct run *run);
/* What nobody but a repin can let in: whoever waits for it is told. */
void run_refuse_waiting(struct run *run);
/* Are calls under way, also those that only finish for the record? */
bool run_has_live_call(const struct run *run);
/* A blocked run that keeps what it cannot take: in memory, but nobody waits for it to leave. */
void run_park(struct run *run);
/* It is being looked at again: it counts as resident. */
void run_unpark(struct run *run);

/* run_step.c: decide, record, act. */
void run_turn(struct run *run);
/* After a turn: arms the timer, tells who waits, or lets the run leave memory
 * (run is gone then). */
void run_settle(struct run *run);
void run_committed(struct commit *commit);
void commit_free(struct commit *commit);
/* The process died before it was finished (run_life.c). */
void commit_drop(struct commit *commit);
/* What live and replay share: calls the step asked for or no longer wants; what a record says. */
/* recorded: the same effects as they stand in the record, to be shared; NULL: made here. */
void run_take_effects(struct run *run, const struct effects *effects, const json_t *recorded,
                      int64_t at_ms);
void run_apply(struct run *run, const json_t *record);
/* run_replay.c: a run from its journal. */
int run_replay_record(struct run *run, const json_t *record, struct err *err) ATTR_MUST_USE;
int run_repin_machine(struct run *run, struct release *release, struct err *err) ATTR_MUST_USE;
/* What a blocked record keeps for the retry; new. */
json_t *run_blocked_of(const json_t *record);
void run_unblock(struct run *run);
void run_retry(struct run *run);

/* run_call.c: calls of plugin actions. */
void call_begin(struct call *call); /* builds; nothing leaves */
void calls_release_reads(
	struct run *run);             /* the exception for READ: while the commit is under way */
void call_release(struct call *call); /* it is on record: act */
/* A prompt of the pinned release, rendered and masked; NULL with err. */
json_t *run_prompt(struct run *run, const char *name, const json_t *values, struct err *err);
/* What goes on record of an answer: the build that gave it, unless an earlier record names it. */
void call_name_build(const struct call *call, json_t *extra);
void call_recover(struct call *call);     /* after a restart */
void call_begin_again(struct call *call); /* a person said so; released with the next commit */
/* Hands the end of a call to the run: *failure as plugin.h says; both are taken. */
void call_answer(struct call *call, bool ok, json_t *value_taken, json_t *extra_taken);

/* run_again.c: resume, retry, fork. */
int again_check(struct run *run, const char *op, struct err *err) ATTR_MUST_USE;
void decide_resume(struct run *run, struct intake *intake);
void decide_retry(struct run *run, struct intake *intake);
void decide_repeat(struct run *run, struct intake *intake);
void decide_fork(struct run *run, struct intake *intake);
/* What a fork's first record would say ("row","no","seq" of the origin); new, NULL with err. */
json_t *fork_body(struct worker *worker, const json_t *request, struct err *err);
int fork_restore(struct run *run, const json_t *record, struct err *err) ATTR_MUST_USE;
const char *fork_verify(struct run *run, const json_t *record);
void fork_start(struct worker *worker, int64_t no, const json_t *request,
                const struct asker *asker);
/* The calls that a step, or a fork, asked for are built; their requests go on record. */
void calls_begin(struct run *run, struct commit *commit, json_t *body);

/* run_ask.c: a question of the engine's own to a connection. */
void worker_ask(struct worker *worker, const json_t *request, const struct asker *asker);

/* run_many.c: batches of starts, actions on all that a filter finds. */
int many_check_batch(const json_t *request, struct err *err) ATTR_MUST_USE;
void many_start(struct worker *worker, const json_t *request, const struct asker *asker);
void many_act(struct engine *engine, const json_t *request, const struct asker *asker);
/* Which commit carries the files of this one's release; NULL: one of the batch does already. */
struct commit *many_pins(struct commit *commit);
void commit_push(struct commit *commit); /* to the writer, or to the batch that is being made */

/* run_assign.c: a task goes to somebody else. */
int assign_intake(struct run *run, const json_t *request, struct intake **ret,
                  struct err *err) ATTR_MUST_USE;
void decide_assign(struct run *run, struct intake *intake);
enum { TASK_ETAG_BYTES = 33 };
void task_etag(const json_t *task, char ret[TASK_ETAG_BYTES]);
int task_check_team(const json_t *task, const json_t *teams, struct err *err) ATTR_MUST_USE;
void task_put(struct commit *commit, json_t *body, json_t *task_taken);

/* run_post.c: events for other runs, and over HTTP (SCXML C.1, C.2). */
bool post_is(const json_t *effect); /* as effect_to_json gave it */
int post_check(struct run *run, const struct effect *effect, struct err *err) ATTR_MUST_USE;
void post_begin(struct call *call);   /* builds; nothing leaves */
void post_release(struct call *call); /* it is on record: act */
void post_ended(struct run *run, const json_t *end);
/* session.post as run.signal, new; NULL with err: the body is no event. */
json_t *post_read(const json_t *request, struct err *err);

/* run_task.c: what people do, and the other built-in actions. */
bool built_in_is(const char *type);
int built_in_check(struct run *run, const struct effect *effect, struct err *err) ATTR_MUST_USE;
void built_in_begin(struct call *call, struct commit *commit, json_t *body);
void built_in_release(struct call *call);
void built_in_withdraw(struct call *call, struct commit *commit, json_t *body);
/* A call that may have happened: a person must look. */
void unsure_open(struct call *call, struct commit *commit, json_t *body);
/* The intake that an answer makes; ERR_* when it may not be given. */
int task_answer(struct run *run, const json_t *request, struct intake **ret,
                struct err *err) ATTR_MUST_USE;
void task_close(struct commit *commit, json_t *body, const char *task_id);
void checklist_answer(struct run *run, const json_t *answer, struct commit *commit, json_t *body,
                      int64_t at_ms);

/* run_request.c */
void worker_request(struct worker *worker, struct message *message);
void worker_start_run(struct worker *worker, const json_t *request, const struct asker *asker);
void run_refused(struct commit *commit); /* a start that met an older one */
json_t *run_start_json(const struct run *run);
void run_make_id(const struct engine *engine, char ret[32]);
/* Numbers of one worker are congruent, so that a run stays where its number says. */
int64_t run_next_no(struct worker *worker);
/* Starts a run of a graph on behalf of another one (gw:run). */
void worker_start_child(struct worker *worker, const char *graph, const char *correlation_id,
                        const json_t *input, const char *by, engine_reply_cb *cb, void *arg);

/* run_view.c: what people and programs see. */
json_t *run_row_json(const struct store_run *row);
json_t *run_json(const struct run *run);
json_t *run_show(struct worker *worker, int64_t no, struct err *err);
json_t *run_line(const struct run *run, const json_t *record);
/* The calls that are open, in the same form as a line's "asks", each with "at"; new. */
json_t *run_asks(const struct run *run);
const char *status_name(int status);
json_t *task_json(const struct store_task *task);

/* run_explain.c: in plain language; NULL with err. */
json_t *run_explain(struct worker *worker, int64_t no, struct err *err);

/* run_trace.c: the graph in the colours of the run, for Graphviz; NULL with err. */
json_t *run_picture(struct worker *worker, int64_t no, struct err *err);

/* run_audit.c */
json_t *run_audit(struct engine *engine, int64_t no, struct err *err);
void run_write_audit(struct run *run);
json_t *run_verify(struct worker *worker, int64_t no, const json_t *file, struct err *err);
/* run_heads.c: what is signed.  On the writer's thread, but for opening, closing and looking. */
int heads_open(struct engine *engine, struct err *err) ATTR_MUST_USE;
void heads_close(struct engine *engine);
void heads_note(struct engine *engine, const struct store_item *items, size_t count);
bool heads_is_full(const struct engine *engine);
void heads_make(struct engine *engine);
void heads_stop(struct engine *engine); /* the last one, of an orderly end */
/* [{"run","seq","text"}] where the store is not what a head says; new; NULL with err. */
json_t *heads_compare(struct engine *engine, const json_t *head, struct err *err);
int64_t heads_last(struct engine *engine); /* its number; 0: none */
/* run_file.c: artifacts; written whole or not at all. */
void run_write_file(struct run *run, const char *name, struct str text);
/* What could not be written is tried once more; false: the run goes on owing it. */
bool run_pays_files(struct run *run);
/* All of a run's files again, from its journal: the process may have died before it wrote them. */
void run_restore_files(struct run *run);

#endif
