/* SPDX-License-Identifier: MIT */
#include "script/script_int.h"
void rule_code_release_all(struct script *script) { (void)script; }
void template_code_release_all(struct script *script) { (void)script; }
int script_render(struct datamodel *dm, const char *name, struct str source, const json_t *extra,
                  char **ret, struct err *err) { (void)dm;(void)name;(void)source;(void)extra;(void)ret; return err_set(err, ERR_ABSENT, "none"); }
