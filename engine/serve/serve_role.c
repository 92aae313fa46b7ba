/* SPDX-License-Identifier: MIT */
/*
 * Who may do what: one table, deny by default.  A role's grant is given to a
 * person's token, never to the role.  Nobody else in serve/ knows a role.
 */
#include "serve/serve_int.h"

static const char *const names[ROLE_COUNT] = {
	[ROLE_VIEWER] = "viewer",   [ROLE_OPERATOR] = "operator", [ROLE_APPROVER] = "approver",
	[ROLE_ANALYST] = "analyst", [ROLE_ENGINEER] = "engineer", [ROLE_ADMIN] = "admin",
	[ROLE_SENDER] = "sender",
};

enum { NO, YES, GRANT };

/*                               viewer operator approver analyst engineer admin sender */
static const unsigned char matrix[MAY_COUNT][ROLE_COUNT] = {
	[MAY_ANYONE] = { YES, YES, YES, YES, YES, YES, YES },
	[MAY_SIGNED] = { NO, NO, NO, NO, NO, NO, NO },
	[MAY_READ] = { YES, YES, YES, YES, YES, YES, NO },
	[MAY_DATA] = { NO, GRANT, NO, GRANT, NO, GRANT, NO },
	[MAY_RUN] = { NO, YES, NO, NO, NO, NO, NO },
	[MAY_APPROVE] = { NO, NO, YES, NO, NO, NO, NO },
	[MAY_COMPLETE] = { NO, YES, YES, NO, NO, NO, NO },
	[MAY_AUDIT] = { NO, YES, NO, NO, NO, YES, NO },
	[MAY_TOKENS] = { NO, NO, NO, NO, NO, YES, NO },
	[MAY_SEND] = { NO, NO, NO, NO, NO, NO, YES },
};

static const char *const permissions[MAY_COUNT] = {
	[MAY_ANYONE] = "anyone",     [MAY_SIGNED] = "signature", [MAY_READ] = "read",
	[MAY_DATA] = "read data",    [MAY_RUN] = "run",          [MAY_APPROVE] = "approve",
	[MAY_COMPLETE] = "complete", [MAY_AUDIT] = "audit",      [MAY_TOKENS] = "tokens",
	[MAY_SEND] = "send",
};

int role_find(const char *name)
{
	for (int i = 0; i < ROLE_COUNT; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}

const char *role_name(int role)
{
	return names[role];
}

const char *permission_name(enum permission permission)
{
	return permissions[permission];
}

bool role_may(unsigned int roles, bool has_grant, enum permission permission)
{
	for (unsigned int i = 0; i < ROLE_COUNT; i++) {
		if (!(roles & 1u << i))
			continue;
		if (matrix[permission][i] == YES || (matrix[permission][i] == GRANT && has_grant))
			return true;
	}
	return false;
}

int serve_role_check(const char *role, struct err *err)
{
	if (role_find(role) >= 0)
		return 0;
	err_set_id(err, ERR_INPUT, "token.role", "there is no role '%.40s'", role);
	return err_hint(err, "viewer, operator, approver, analyst, engineer, admin, sender");
}
