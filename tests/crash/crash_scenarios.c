/* SPDX-License-Identifier: MIT */
/* What is disturbed at every boundary: onboarding, and what people do. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "crash.h"

#define ACME "{\"account_id\":\"ACME-001\"}"
#define BETA "{\"account_id\":\"BETA-002\"}"
#define GAMMA "{\"account_id\":\"GAMMA-003\"}"

/* --- onboarding ------------------------------------------------------------------------------- */

static void command_proceed(struct trial *trial, const char **args)
{
	(void)trial;
	start_args(args, "onboarding", ACME, "c-proceed");
}

static void check_proceed(struct trial *trial)
{
	check_row(trial, "onboarding", "c-proceed", "ended", "PROCEED", "provisioned");
	check_tenant_count(trial, 1);
	check_run_count(trial, "checklist", 1);
}

static const struct scenario proceed = {
	.name = "proceed",
	.is_shipped = true,
	.command = command_proceed,
	.check = check_proceed,
};

static void command_escalate(struct trial *trial, const char **args)
{
	(void)trial;
	start_args(args, "onboarding", GAMMA, "c-escalate");
}

static void finish_escalate(struct trial *trial)
{
	start_inside(trial, "onboarding", GAMMA, "c-escalate");
	approve_inside(trial);
	start_inside(trial, "onboarding", GAMMA, "c-escalate");
}

static void check_escalate(struct trial *trial)
{
	check_row(trial, "onboarding", "c-escalate", "ended", "ESCALATE", "provisioned");
	check_tenant_count(trial, 1);
	check_run_count(trial, "checklist", 1);
}

static const struct scenario escalate = {
	.name = "escalate",
	.full_every = 4,
	.is_shipped = true,
	.command = command_escalate,
	.finish = finish_escalate,
	.check = check_escalate,
};

static void prepare_approve(struct trial *trial)
{
	start_inside(trial, "onboarding", GAMMA, "c-escalate");
}

static void command_approve(struct trial *trial, const char **args)
{
	const char *const all[] = { "task", "approve", trial->task, "--by", "lead", NULL };
	memcpy(args, all, sizeof(all));
}

static void finish_approve(struct trial *trial)
{
	start_inside(trial, "onboarding", GAMMA, "c-escalate");
}

static const struct scenario approved = {
	.name = "approve",
	.full_every = 4,
	.is_shipped = true,
	.prepare = prepare_approve,
	.is_kept = true,
	.command = command_approve,
	.finish = finish_approve,
	.check = check_escalate,
};

/* Another run is in the store, left half way; both are carried by one process then. */
static void prepare_together(struct trial *trial)
{
	inside_close(trial->world->inside);
	start_half_way(trial, "onboarding", ACME, "c-proceed", 300);
}

static void command_together(struct trial *trial, const char **args)
{
	(void)trial;
	start_args(args, "onboarding", BETA, "c-block");
}

static void check_together(struct trial *trial)
{
	check_proceed(trial);
	check_row(trial, "onboarding", "c-block", "ended", "BLOCK", "blocked");
}

static const struct scenario together = {
	.name = "together",
	.full_every = 4,
	.is_shipped = true,
	.prepare = prepare_together,
	.command = command_together,
	.check = check_together,
};

/* --- timers, sends to itself ------------------------------------------------------------------ */

static void command_ticks(struct trial *trial, const char **args)
{
	(void)trial;
	start_args(args, "ticks", "{}", "c-ticks");
}

static void check_ticks(struct trial *trial)
{
	check_result(trial, "ticks", "c-ticks",
	             "{\"fired\":[\"tick.first\",\"tick.second\",\"tick.third\"]}");
}

static const struct scenario ticks = {
	.name = "ticks",
	.plugins = "",
	.command = command_ticks,
	.check = check_ticks,
};

static void command_relay(struct trial *trial, const char **args)
{
	(void)trial;
	start_args(args, "relay", "{}", "c-relay");
}

static void check_relay(struct trial *trial)
{
	check_result(trial, "relay", "c-relay", "{\"n\":9,\"from_child\":8}");
}

static const struct scenario relay = {
	.name = "relay",
	.plugins = "",
	.command = command_relay,
	.check = check_relay,
};

/* --- what people do --------------------------------------------------------------------------- */

static void prepare_asks(struct trial *trial)
{
	start_inside(trial, "asks", "{}", "c-asks");
}

static void command_signal(struct trial *trial, const char **args)
{
	const char *const all[] = { "run", "signal", trial->run, "note", "--id",
		                    "7",   "--data", "\"x\"",    NULL };
	memcpy(args, all, sizeof(all));
}

static void check_signal(struct trial *trial)
{
	check_result(trial, "asks", "c-asks", "{\"outcome\":\"approved\",\"got\":[\"x\"]}");
}

static const struct scenario signal_once = {
	.name = "signal",
	.plugins = "slack",
	.prepare = prepare_asks,
	.is_kept = true,
	.command = command_signal,
	.finish = approve_inside,
	.check = check_signal,
};

static void command_cancel(struct trial *trial, const char **args)
{
	const char *const all[] = { "run", "cancel", trial->run, "--reason", "test", NULL };
	memcpy(args, all, sizeof(all));
}

static void check_cancel(struct trial *trial)
{
	check_row(trial, "asks", "c-asks", "cancelled", NULL, NULL);
}

static const struct scenario cancel = {
	.name = "cancel",
	.plugins = "slack",
	.prepare = prepare_asks,
	.is_kept = true,
	.command = command_cancel,
	.check = check_cancel,
};

/* The graph in the world's own folder: broken at first. */
static void write_stuck(struct trial *trial, bool is_mended)
{
	char *path = mem_format("%s/tests/crash/graphs/stuck/stuck.scxml", trial->world->root);
	char *text = world_read(path);
	char *at = strstr(text, "return false");
	if (is_mended)
		memcpy(at, "return true ", strlen("return false"));
	world_write(trial->world, "graphs/stuck/stuck.scxml", text);
	free(text);
	free(path);
}

static void prepare_repin(struct trial *trial)
{
	char *folder = mem_format("%s/graphs", trial->world->folder);
	inside_close(trial->world->inside);
	write_stuck(trial, false);
	world_configure(trial->world, folder, "provision");
	free(inside_open(trial->world->inside));
	start_inside(trial, "stuck", "{}", "c-stuck");
	write_stuck(trial, true);
	free(folder);
}

static void command_repin(struct trial *trial, const char **args)
{
	const char *const all[] = { "run", "repin", trial->run, "--reason", "mended", NULL };
	memcpy(args, all, sizeof(all));
}

static void check_repin(struct trial *trial)
{
	check_result(trial, "stuck", "c-stuck", "{\"outcome\":\"provisioned\"}");
	check_tenant_count(trial, 1);
}

static const struct scenario repin = {
	.name = "repin",
	.plugins = "provision",
	.prepare = prepare_repin,
	.is_kept = true,
	.command = command_repin,
	.check = check_repin,
};

const struct scenario *const scenarios[] = { &proceed,
	                                     &escalate,
	                                     &approved,
	                                     &together,
	                                     &ticks,
	                                     &relay,
	                                     &signal_once,
	                                     &cancel,
	                                     &repin,
	                                     &scenario_errand,
	                                     &scenario_family,
	                                     &scenario_task,
	                                     &scenario_hook,
	                                     &scenario_recover,
	                                     &scenario_lost_power,
	                                     &scenario_checkpoint,
	                                     NULL };
