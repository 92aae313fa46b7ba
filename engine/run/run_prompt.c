/* SPDX-License-Identifier: MIT */
/* Prompts for plugins: of the run's pinned release, rendered and masked (release_prompt.h). */
#include "release/release_prompt.h"
#include "run/run_int.h"

json_t *run_prompt(struct run *run, const char *name, const json_t *values, struct err *err)
{
	const json_t *prompt = json_at(run->release->prompts, name);
	const json_t *text = json_at(prompt, "text");
	json_t *ret = NULL;
	if (!prompt) {
		err_set_id(err, ERR_ABSENT, "prompt.absent", "there is no prompt '%s'", name);
		return NULL;
	}
	if (prompt_render(name, (struct str){ json_string_value(text), json_string_length(text) },
	                  values, &ret, err) < 0) {
		err_wrap(err, "prompt '%s'", name);
		return NULL;
	}
	json_put(ret, "sha256", json_incref(json_at(prompt, "sha256")));
	return ret;
}
