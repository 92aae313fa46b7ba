/* SPDX-License-Identifier: MIT */
/*
 * gangway-sandbox: reads its arguments, starts one listener per system, says
 * where they are, and waits for a signal.
 */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/mem.h"
#include "sandbox/sandbox.h"

enum { EXIT_GOOD = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, FAULTS_MAX = 50 };

struct options {
	const char *scenarios, *jwt_key, *ca_file;
	int port, smtp_port, ready_fd;
	uint64_t seed;
	bool die_with_parent, prints_env, wants_mail_login;
	const char *faults[FAULTS_MAX];
	size_t fault_count;
};

static const char help_text[] =
	"Usage: gangway-sandbox [OPTION]...\n"
	"\n"
	"The offline stand-in for the outside systems: Salesforce, NetSuite, the CLM, Slack,\n"
	"an LLM, tenant provisioning and mail, each on a port of 127.0.0.1.  Prints one line\n"
	"per endpoint, then \"ready\", and serves until SIGTERM or SIGINT.\n"
	"\n"
	"  --scenarios DIR            one JSON file per account (default: $GANGWAY_SCENARIOS,\n"
	"                             sandbox/scenarios, or those that came with the program)\n"
	"  --port N                   salesforce on N, netsuite N+1, clm N+2, slack N+3, llm N+4,\n"
	"                             provision N+5, smtp N+6, control N+7 (default 0: any free)\n"
	"  --smtp-port N              smtp on this port instead\n"
	"  --seed N                   for tokens and faults (default 1)\n"
	"  --fault SYSTEM=KIND:RATE   spoil a share of a system's requests; may be repeated.\n"
	"                             KIND: 400 401 403 404 429 500 503 timeout half lost slow "
	"garbage\n"
	"  --jwt-key FILE             public key (PEM): signatures of assertions are checked with "
	"it\n"
	"  --ca FILE                  listen for TLS, too, on N+8 to N+14; the authority's\n"
	"                             certificate, to be trusted, is written to FILE\n"
	"  --smtp-auth                no mail without a login; with TLS no login without it\n"
	"  --ready-fd N               write the endpoints to this descriptor, too, and close it\n"
	"  --die-with-parent          end when the process that started this one ends\n"
	"  --env                      print what a client needs as shell exports, and end; with\n"
	"                             --port N the addresses, too\n"
	"  --help, --version\n"
	"\n"
	"Examples:\n"
	"  gangway-sandbox --port 21000\n"
	"  gangway-sandbox --fault netsuite=500:0.2 --fault slack=429:0.5 --seed 7\n"
	"  curl http://127.0.0.1:21007/_sandbox/requests?system=salesforce\n"
	"  curl -d '{\"system\":\"clm\",\"kind\":\"timeout\",\"count\":1}' "
	"http://127.0.0.1:21007/_sandbox/faults\n";

static bool number_of(const char *text, long long min, long long max, long long *ret)
{
	char *end;
	errno = 0;
	*ret = strtoll(text, &end, 10);
	return *text && *end == '\0' && errno == 0 && *ret >= min && *ret <= max;
}

static int usage(const char *what, const char *text)
{
	fprintf(stderr, "gangway-sandbox: %s: '%s'\nTry 'gangway-sandbox --help'.\n", what, text);
	return EXIT_USAGE;
}

enum {
	OPTION_SCENARIOS = 256,
	OPTION_JWT_KEY,
	OPTION_CA,
	OPTION_SMTP_AUTH,
	OPTION_PORT,
	OPTION_SMTP_PORT,
	OPTION_SEED,
	OPTION_FAULT,
	OPTION_READY_FD,
	OPTION_DIE,
	OPTION_ENV,
	OPTION_HELP,
	OPTION_VERSION
};

/* One option; -1 to go on, else the exit status. */
static int take_option(int option, const char *value, struct options *options)
{
	long long number = 0;
	switch (option) {
	case OPTION_SCENARIOS: options->scenarios = value; return -1;
	case OPTION_JWT_KEY: options->jwt_key = value; return -1;
	case OPTION_CA: options->ca_file = value; return -1;
	case OPTION_SMTP_AUTH: options->wants_mail_login = true; return -1;
	case OPTION_PORT:
		if (!number_of(value, 0, 65520, &number))
			return usage("a port is 0 to 65520", value);
		options->port = (int)number;
		return -1;
	case OPTION_SMTP_PORT:
		if (!number_of(value, 0, 65535, &number))
			return usage("a port is 0 to 65535", value);
		options->smtp_port = (int)number;
		return -1;
	case OPTION_SEED:
		if (!number_of(value, 0, LLONG_MAX, &number))
			return usage("a seed is a number", value);
		options->seed = (uint64_t)number;
		return -1;
	case OPTION_FAULT:
		if (options->fault_count == FAULTS_MAX)
			return usage("too many faults", value);
		options->faults[options->fault_count++] = value;
		return -1;
	case OPTION_READY_FD:
		if (!number_of(value, 0, 1023, &number))
			return usage("a descriptor is 0 to 1023", value);
		options->ready_fd = (int)number;
		return -1;
	case OPTION_DIE: options->die_with_parent = true; return -1;
	case OPTION_ENV: options->prints_env = true; return -1;
	case OPTION_HELP: fputs(help_text, stdout); return EXIT_GOOD;
	case OPTION_VERSION: puts("gangway-sandbox 0.1.0"); return EXIT_GOOD;
	default: fputs("Try 'gangway-sandbox --help'.\n", stderr); return EXIT_USAGE;
	}
}

static int read_options(int argc, char **argv, struct options *options)
{
	static const struct option table[] = {
		{ "scenarios", required_argument, NULL, OPTION_SCENARIOS },
		{ "port", required_argument, NULL, OPTION_PORT },
		{ "smtp-port", required_argument, NULL, OPTION_SMTP_PORT },
		{ "seed", required_argument, NULL, OPTION_SEED },
		{ "fault", required_argument, NULL, OPTION_FAULT },
		{ "jwt-key", required_argument, NULL, OPTION_JWT_KEY },
		{ "ca", required_argument, NULL, OPTION_CA },
		{ "smtp-auth", no_argument, NULL, OPTION_SMTP_AUTH },
		{ "ready-fd", required_argument, NULL, OPTION_READY_FD },
		{ "die-with-parent", no_argument, NULL, OPTION_DIE },
		{ "env", no_argument, NULL, OPTION_ENV },
		{ "help", no_argument, NULL, OPTION_HELP },
		{ "version", no_argument, NULL, OPTION_VERSION },
		{ NULL, 0, NULL, 0 },
	};
	*options = (struct options){ .smtp_port = -1, .ready_fd = -1, .seed = 1 };
	int option, status = -1;
	while (status < 0 && (option = getopt_long(argc, argv, "h", table, NULL)) != -1)
		status = take_option(option == 'h' ? OPTION_HELP : option, optarg, options);
	if (status < 0 && optind < argc)
		status = usage("no argument is expected", argv[optind]);
	return status;
}

/* The folder given, else the first that exists of those where one may be; NULL: none does. */
static char *scenarios_dir_new(const char *given)
{
	char self[PATH_MAX];
	const char *from_environment = getenv("GANGWAY_SCENARIOS");
	if (given || from_environment)
		return mem_dup_str(given ? given : from_environment);
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	self[len > 0 ? len : 0] = '\0';
	char *slash = strrchr(self, '/');
	if (slash)
		*slash = '\0';
	/* A build folder has a link to the configuration, which lies at the top of the sources. */
	char *link = mem_format("%s/gangway.lua", self), *real = realpath(link, NULL);
	slash = real ? strrchr(real, '/') : NULL;
	char *choices[] = { mem_dup_str("sandbox/scenarios"),
		            mem_format("%s/sandbox/scenarios", self),
		            mem_format("%.*s/sandbox/scenarios", slash ? (int)(slash - real) : 1,
		                       slash ? real : "."),
		            mem_format("%s/../share/gangway/sandbox/scenarios", self),
		            mem_dup_str(GANGWAY_DATA_DIR "/sandbox/scenarios") };
	size_t count = sizeof(choices) / sizeof(*choices), pick = count;
	for (size_t i = count; i-- > 0;)
		if (access(choices[i], R_OK | X_OK) == 0)
			pick = i;
	char *chosen = pick < count ? mem_dup_str(choices[pick]) : NULL;
	for (size_t i = 0; i < count; i++) {
		if (!chosen)
			fprintf(stderr, "gangway-sandbox: no scenarios in %s\n", choices[i]);
		free(choices[i]);
	}
	free(link);
	free(real);
	return chosen;
}

static int start_all(struct sandbox *box, const struct options *options, struct err *err)
{
	for (int i = 0; i < SYSTEM_COUNT; i++) {
		struct listener *listener = &box->listeners[i];
		int port = options->port ? options->port + i : 0;
		if (i == SYSTEM_SMTP && options->smtp_port >= 0)
			port = options->smtp_port;
		int status = i == SYSTEM_SMTP ? smtp_start(listener, port, err)
		                              : http_start(listener, port, err);
		if (status < 0)
			return status;
	}
	for (int i = 0; options->ca_file && i < SYSTEM_CONTROL; i++) {
		struct listener *listener = &box->tls_listeners[i];
		int port = options->port ? options->port + SYSTEM_COUNT + i : 0;
		int status = i == SYSTEM_SMTP ? smtp_start(listener, port, err)
		                              : http_start(listener, port, err);
		if (status < 0)
			return status;
	}
	return 0;
}

static void stop_all(struct sandbox *box)
{
	uint64_t one = 1;
	(void)!write(box->stop_fd, &one, sizeof(one));
	for (int i = 0; i < SYSTEM_COUNT; i++) {
		if (i == SYSTEM_SMTP) {
			smtp_stop(&box->listeners[i]);
			smtp_stop(&box->tls_listeners[i]);
		} else {
			http_stop(&box->listeners[i]);
			http_stop(&box->tls_listeners[i]);
		}
	}
}

static void announce(const struct sandbox *box, FILE *out)
{
	for (int i = 0; i < SYSTEM_COUNT; i++) {
		const struct system_ops *ops = system_ops((enum system)i);
		fprintf(out, "%s %s://127.0.0.1:%d%s\n", ops->name,
		        i == SYSTEM_SMTP ? "smtp" : "http", box->listeners[i].port, ops->base_path);
	}
	for (int i = 0; box->tls && i < SYSTEM_CONTROL; i++) {
		const struct system_ops *ops = system_ops((enum system)i);
		fprintf(out, "%s-tls %s://127.0.0.1:%d%s\n", ops->name,
		        i == SYSTEM_SMTP ? "smtps" : "https", box->tls_listeners[i].port,
		        ops->base_path);
	}
	fputs("ready\n", out);
	fflush(out);
}

/* Shell exports under the names that the shipped gangway.lua asks for. */
static void print_env(const struct options *options)
{
	static const struct {
		const char *name, *value;
	} constants[] = {
		{ "SALESFORCE_CLIENT_ID", SALESFORCE_CLIENT_ID },
		{ "SALESFORCE_CLIENT_SECRET", SALESFORCE_CLIENT_SECRET },
		{ "NETSUITE_REALM", NETSUITE_ACCOUNT },
		{ "NETSUITE_CONSUMER_KEY", NETSUITE_CONSUMER_KEY },
		{ "NETSUITE_CONSUMER_SECRET", NETSUITE_CONSUMER_SECRET },
		{ "NETSUITE_TOKEN", NETSUITE_TOKEN_ID },
		{ "NETSUITE_TOKEN_SECRET", NETSUITE_TOKEN_SECRET },
		{ "CLM_ACCOUNT", CLM_ACCOUNT },
		{ "CLM_TOKEN", CLM_TOKEN },
		{ "SLACK_TOKEN", SLACK_TOKEN },
		{ "OPENAI_API_KEY", LLM_KEY },
		{ "PROVISION_TOKEN", PROVISION_TOKEN },
	};
	for (size_t i = 0; i < sizeof(constants) / sizeof(*constants); i++)
		printf("export %s='%s'\n", constants[i].name, constants[i].value);
	for (int i = 0; options->port && i < SYSTEM_COUNT; i++) {
		const struct system_ops *ops = system_ops((enum system)i);
		bool is_llm = strcmp(ops->name, "llm") == 0;
		int port = i == SYSTEM_SMTP && options->smtp_port > 0 ? options->smtp_port
		                                                      : options->port + i;
		printf("export ");
		for (const char *c = is_llm ? "OPENAI_BASE" : ops->name; *c; c++)
			putchar(toupper((unsigned char)*c));
		printf("_URL='%s://127.0.0.1:%d%s'\n", i == SYSTEM_SMTP ? "smtp" : "http", port,
		       ops->base_path);
	}
}

static void announce_to(const struct sandbox *box, int fd)
{
	FILE *out = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (!out)
		return;
	announce(box, out);
	fclose(out);
}

static void wait_for_signal(const sigset_t *signals)
{
	int signal = 0;
	while (sigwait(signals, &signal) != 0)
		;
}

static int read_jwt_key(struct sandbox *box, const char *path, struct err *err)
{
	enum { KEY_BYTES = 16 * 1024 };
	char bytes[KEY_BYTES];
	FILE *file = path ? fopen(path, "re") : NULL;
	if (!path)
		return 0;
	if (!file)
		return err_set(err, ERR_SYSTEM, "%s: %s", path, strerror(errno));
	size_t len = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	if (crypto_key_read((struct str){ bytes, len }, &box->jwt_key, err) < 0)
		return err_wrap(err, "%s", path);
	return 0;
}

static int run(struct sandbox *box, const struct options *options, const sigset_t *signals,
               struct err *err)
{
	char *dir = scenarios_dir_new(options->scenarios);
	int status = dir ? scenario_open(box, dir, err)
	                 : err_set(err, ERR_ABSENT, "say where they are: --scenarios DIR");
	free(dir);
	if (status == 0)
		status = read_jwt_key(box, options->jwt_key, err);
	if (status == 0 && options->ca_file)
		status = tls_open(box, options->ca_file, err);
	box->wants_mail_login = options->wants_mail_login;
	for (size_t i = 0; status == 0 && i < options->fault_count; i++)
		status = fault_add_text(box, options->faults[i], err);
	if (status == 0)
		status = start_all(box, options, err);
	if (status == 0) {
		announce(box, stdout);
		announce_to(box, options->ready_fd);
		wait_for_signal(signals);
	}
	stop_all(box);
	return status;
}

int main(int argc, char **argv)
{
	struct options options;
	struct sandbox box;
	struct err err = { 0 };
	sigset_t signals;
	pid_t parent = getppid();
	mem_install();
	int status = read_options(argc, argv, &options);
	if (status >= 0)
		return status;
	if (options.prints_env)
		return print_env(&options), EXIT_GOOD;
	/* Blocked before the first thread exists, so that only sigwait() gets them. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (options.die_with_parent &&
	    (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent))
		return EXIT_FAILED;
	sandbox_init(&box, options.seed);
	status = run(&box, &options, &signals, &err);
	sandbox_release(&box);
	if (status == 0)
		return EXIT_GOOD;
	fprintf(stderr, "gangway-sandbox: %s\n", err.text);
	if (*err.hint)
		fprintf(stderr, "  %s\n", err.hint);
	return EXIT_FAILED;
}
