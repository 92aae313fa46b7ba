/* SPDX-License-Identifier: MIT */
/*
 * Which element may stand where and what it may carry: one table, made from
 * the Recommendation's element descriptions plus the gw attributes of
 * DESIGN.md 3.  Everything is reported; what is misplaced is not built.
 */
#include <string.h>

#include "chart/chart_int.h"

#define BIT(kind) (UINT64_C(1) << (kind))
#define ACTIONS                                                                        \
	(BIT(EL_RAISE) | BIT(EL_IF) | BIT(EL_FOREACH) | BIT(EL_LOG) | BIT(EL_ASSIGN) | \
	 BIT(EL_SCRIPT) | BIT(EL_SEND) | BIT(EL_CANCEL))

struct rule {
	const char *name;
	uint64_t children;
	const char *attrs;    /* known ones, blank-separated */
	const char *required; /* must be given */
	const char *twins;    /* pairs a/b that exclude each other */
	const char *gw;       /* known ones of the gw namespace, besides allow and because */
};

static const struct rule rules[EL_UNKNOWN] = {
	[EL_SCXML] = { "scxml",
	               BIT(EL_STATE) | BIT(EL_PARALLEL) | BIT(EL_FINAL) | BIT(EL_DATAMODEL) |
	                       BIT(EL_SCRIPT),
	               "initial name version datamodel binding exmode", "version", "",
	               "gw:on-error gw:input gw:output gw:title gw:note" },
	[EL_STATE] = { "state",
	               BIT(EL_ONENTRY) | BIT(EL_ONEXIT) | BIT(EL_TRANSITION) | BIT(EL_INITIAL) |
	                       BIT(EL_STATE) | BIT(EL_PARALLEL) | BIT(EL_FINAL) | BIT(EL_HISTORY) |
	                       BIT(EL_DATAMODEL) | BIT(EL_INVOKE),
	               "id initial", "", "", "gw:title gw:note" },
	[EL_PARALLEL] = { "parallel",
	                  BIT(EL_ONENTRY) | BIT(EL_ONEXIT) | BIT(EL_TRANSITION) | BIT(EL_STATE) |
	                          BIT(EL_PARALLEL) | BIT(EL_HISTORY) | BIT(EL_DATAMODEL) |
	                          BIT(EL_INVOKE),
	                  "id", "", "", "gw:title gw:note" },
	[EL_FINAL] = { "final", BIT(EL_ONENTRY) | BIT(EL_ONEXIT) | BIT(EL_DONEDATA), "id", "", "",
	               "gw:title gw:note" },
	[EL_HISTORY] = { "history", BIT(EL_TRANSITION), "id type", "", "", "gw:title gw:note" },
	[EL_INITIAL] = { "initial", BIT(EL_TRANSITION), "", "", "", "" },
	[EL_TRANSITION] = { "transition", ACTIONS, "event cond target type", "", "",
	                    "gw:title gw:note" },
	[EL_ONENTRY] = { "onentry", ACTIONS, "", "", "", "" },
	[EL_ONEXIT] = { "onexit", ACTIONS, "", "", "", "" },
	[EL_DATAMODEL] = { "datamodel", BIT(EL_DATA), "", "", "", "" },
	[EL_DATA] = { "data", 0, "id src expr", "id", "src/expr", "gw:search gw:exclusive" },
	[EL_DONEDATA] = { "donedata", BIT(EL_CONTENT) | BIT(EL_PARAM), "", "", "", "" },
	[EL_INVOKE] = { "invoke", BIT(EL_PARAM) | BIT(EL_FINALIZE) | BIT(EL_CONTENT),
	                "type typeexpr src srcexpr id idlocation namelist autoforward", "",
	                "type/typeexpr src/srcexpr id/idlocation",
	                "gw:timeout gw:retries gw:backoff gw:connection gw:each gw:as gw:parallel "
	                "gw:advisory gw:fallback gw:on-unsure" },
	[EL_FINALIZE] = { "finalize", ACTIONS, "", "", "", "" },
	[EL_PARAM] = { "param", 0, "name expr location", "name", "expr/location", "gw:render" },
	[EL_CONTENT] = { "content", 0, "expr", "", "", "" },
	[EL_RAISE] = { "raise", 0, "event", "event", "", "" },
	[EL_IF] = { "if", ACTIONS | BIT(EL_ELSEIF) | BIT(EL_ELSE), "cond", "cond", "", "" },
	[EL_ELSEIF] = { "elseif", 0, "cond", "cond", "", "" },
	[EL_ELSE] = { "else", 0, "", "", "", "" },
	[EL_FOREACH] = { "foreach", ACTIONS, "array item index", "array item", "", "" },
	[EL_LOG] = { "log", 0, "label expr", "", "", "" },
	[EL_ASSIGN] = { "assign", 0, "location expr", "location", "", "" },
	[EL_SCRIPT] = { "script", 0, "src", "", "", "" },
	[EL_SEND] = { "send", BIT(EL_PARAM) | BIT(EL_CONTENT),
	              "event eventexpr target targetexpr type typeexpr id idlocation delay "
	              "delayexpr namelist",
	              "",
	              "event/eventexpr target/targetexpr type/typeexpr id/idlocation "
	              "delay/delayexpr",
	              "gw:timeout gw:retries gw:backoff gw:connection gw:on-unsure" },
	[EL_CANCEL] = { "cancel", 0, "sendid sendidexpr", "", "sendid/sendidexpr", "" },
};

enum element element_of(const char *name)
{
	for (int i = 0; i < EL_UNKNOWN; i++)
		if (strcmp(rules[i].name, name) == 0)
			return (enum element)i;
	return EL_UNKNOWN;
}

const char *element_name(enum element kind)
{
	return kind == EL_UNKNOWN ? "?" : rules[kind].name;
}

bool element_holds_text(enum element kind)
{
	return kind == EL_SCRIPT || kind == EL_DATA || kind == EL_ASSIGN || kind == EL_CONTENT;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

bool is_blank(const char *text)
{
	while (is_space(*text))
		text++;
	return *text == '\0';
}

const char *const *split_words(struct arena *arena, const char *text, size_t *ret_count)
{
	size_t count = 0;
	for (const char *p = text; *p; p++)
		count += !is_space(*p) && (p == text || is_space(p[-1]));
	const char **words = arena_alloc(arena, (count + 1) * sizeof(*words));
	size_t filled = 0;
	for (const char *p = text; *p;) {
		while (is_space(*p))
			p++;
		const char *begin = p;
		while (*p && !is_space(*p))
			p++;
		if (p > begin)
			words[filled++] = arena_dup(arena, begin, (size_t)(p - begin));
	}
	*ret_count = count;
	return words;
}

static const struct xml_attr *find_attr(const struct xml_node *node, enum attr_space space,
                                        const char *name)
{
	for (size_t i = 0; i < node->attr_count; i++)
		if (node->attrs[i].space == space && strcmp(node->attrs[i].name, name) == 0)
			return &node->attrs[i];
	return NULL;
}

const struct xml_attr *node_attr(const struct xml_node *node, const char *name)
{
	return find_attr(node, ATTR_PLAIN, name);
}

const struct xml_attr *node_gw(const struct xml_node *node, const char *name)
{
	return find_attr(node, ATTR_GW, name);
}

/* Is word one of the blank-separated list, with prefix before it there? */
static bool list_has(const char *list, const char *prefix, const char *word)
{
	size_t before = strlen(prefix), len = strlen(word);
	for (const char *p = list; *p;) {
		const char *end = strchrnul(p, ' ');
		if ((size_t)(end - p) == before + len && memcmp(p, prefix, before) == 0 &&
		    memcmp(p + before, word, len) == 0)
			return true;
		p = *end ? end + 1 : end;
	}
	return false;
}

static void check_unknown_attrs(struct compile *c, const struct xml_node *node)
{
	const struct rule *rule = &rules[node->kind];
	for (size_t i = 0; i < node->attr_count; i++) {
		const struct xml_attr *attr = &node->attrs[i];
		bool is_gw = attr->space == ATTR_GW;
		const char *prefix = is_gw ? "gw:" : "", *list = is_gw ? rule->gw : rule->attrs;
		if (attr->space == ATTR_FOREIGN || list_has(list, prefix, attr->name))
			continue;
		if (is_gw &&
		    (strcmp(attr->name, "allow") == 0 || strcmp(attr->name, "because") == 0))
			continue;
		size_t count;
		const char *const *names = split_words(&c->scratch, list, &count);
		compile_note(c, true, is_gw ? "gw.unknown_attribute" : "scxml.unknown_attribute",
		             attr->at,
		             compile_nearest(c,
		                             arena_format(&c->scratch, "%s%s", prefix, attr->name),
		                             names, count),
		             "<%s> has no attribute '%s%s'", node->name, prefix, attr->name);
	}
}

static void check_required(struct compile *c, const struct xml_node *node)
{
	size_t count;
	const char *const *names = split_words(&c->scratch, rules[node->kind].required, &count);
	for (size_t i = 0; i < count; i++)
		if (!node_attr(node, names[i]))
			compile_error(c, "scxml.missing_attribute", node->at, NULL,
			              "<%s> needs the attribute '%s'", node->name, names[i]);
}

static void check_twins(struct compile *c, const struct xml_node *node)
{
	size_t count;
	const char *const *pairs = split_words(&c->scratch, rules[node->kind].twins, &count);
	for (size_t i = 0; i < count; i++) {
		const char *slash = strchr(pairs[i], '/');
		const char *first = arena_dup(&c->scratch, pairs[i], (size_t)(slash - pairs[i]));
		if (node_attr(node, first) && node_attr(node, slash + 1))
			compile_error(c, "scxml.conflict", node_attr(node, slash + 1)->at,
			              "keep one of the two", "<%s> has both '%s' and '%s'",
			              node->name, first, slash + 1);
	}
}

static bool has_child(const struct xml_node *node, enum element kind)
{
	for (const struct xml_node *child = node->first; child; child = child->next)
		if (child->kind == kind)
			return true;
	return false;
}

/* An empty guard is not "no guard": it is a mistake that would change what the graph means. */
static void check_empty(struct compile *c, const struct xml_node *node)
{
	static const char *const guards[] = { "cond", "event" };
	for (size_t i = 0; i < 2; i++) {
		const struct xml_attr *attr = node_attr(node, guards[i]);
		if (attr && is_blank(attr->value))
			compile_error(c, "scxml.empty_guard", attr->at,
			              "write what it should be, or remove the attribute",
			              "the %s of this <%s> is empty", guards[i], node->name);
	}
	static const char *const others[] = { "target", "name", "location", "array", "item" };
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		const struct xml_attr *attr = node_attr(node, others[i]);
		if (attr && is_blank(attr->value) && node->kind != EL_SCXML)
			compile_error(c, "scxml.empty_attribute", attr->at,
			              "write what it should be, or remove the attribute",
			              "the %s of this <%s> is empty", others[i], node->name);
	}
}

/* What can only be had in one way: content or the attribute that says the same. */
static void check_content_conflicts(struct compile *c, const struct xml_node *node)
{
	bool has_text = node->xml || (node->text && !is_blank(node->text));
	static const char *const sources[] = { "expr", "src" };
	for (size_t i = 0; element_holds_text(node->kind) && has_text && i < 2; i++)
		if (node_attr(node, sources[i]))
			compile_error(c, "scxml.conflict", node->at, "keep one of the two",
			              "<%s> has both '%s' and children", node->name, sources[i]);
	if (node->kind == EL_ASSIGN && !has_text && !node_attr(node, "expr"))
		compile_error(c, "scxml.missing_attribute", node->at, NULL,
		              "<assign> needs the attribute 'expr', or a value between its tags");
	if (node->kind == EL_SCRIPT && node->xml)
		compile_error(c, "scxml.misplaced_element", node->at,
		              "write '<' as &lt; or put the code into <![CDATA[ ]]>",
		              "<script> holds code, not elements");
	if (node->kind != EL_SEND && node->kind != EL_INVOKE && node->kind != EL_DONEDATA)
		return;
	if (node->kind != EL_INVOKE && has_child(node, EL_CONTENT) &&
	    (has_child(node, EL_PARAM) || node_attr(node, "namelist")))
		compile_error(c, "scxml.conflict", node->at, "keep one of the two",
		              "<%s> has <content> and also <param> or namelist", node->name);
	if (node->kind == EL_INVOKE && has_child(node, EL_CONTENT) &&
	    (node_attr(node, "src") || node_attr(node, "srcexpr"))) {
		/* A plugin's action is named by src and may well take <content>. */
		const struct xml_attr *type = node_attr(node, "type");
		if (!node_attr(node, "typeexpr") && chart_is_scxml_type(type ? type->value : NULL))
			compile_error(c, "scxml.conflict", node->at, "keep one of the two",
			              "<invoke> names its chart by src and by <content>");
	}
}

static void check_param(struct compile *c, const struct xml_node *node)
{
	bool has_value = node_attr(node, "expr") || node_attr(node, "location");
	if (!has_value && !node_gw(node, "render"))
		compile_error(c, "scxml.missing_attribute", node->at, NULL,
		              "<param> needs 'expr' or 'location'%s",
		              node->parent->kind == EL_DONEDATA ? "" : " (or gw:render)");
	if (has_value && node_gw(node, "render"))
		compile_error(c, "scxml.conflict", node->at, "keep one of the two",
		              "<param> has a value and also gw:render");
	if (node->parent->kind == EL_DONEDATA && node_gw(node, "render"))
		compile_error(c, "gw.misplaced", node_gw(node, "render")->at, NULL,
		              "gw:render belongs to the <param> of an <invoke> or a <send>");
}

static void check_transition(struct compile *c, const struct xml_node *node)
{
	bool has_event = node_attr(node, "event"), has_cond = node_attr(node, "cond");
	bool has_target = node_attr(node, "target");
	const struct xml_attr *type = node_attr(node, "type");
	if (type && strcmp(type->value, "internal") != 0 && strcmp(type->value, "external") != 0)
		compile_error(c, "scxml.bad_value", type->at, "write internal or external",
		              "a transition cannot be of type '%s'", type->value);
	enum element owner = node->parent->kind;
	if (owner != EL_INITIAL && owner != EL_HISTORY) {
		if (!has_event && !has_cond && !has_target)
			compile_error(c, "scxml.empty_transition", node->at,
			              "give it an event, a cond or a target",
			              "this transition would be taken again and again without end");
		return;
	}
	const char *code = owner == EL_INITIAL ? "scxml.initial_transition"
	                                       : "scxml.history_transition";
	const char *what = owner == EL_INITIAL ? "an initial transition"
	                                       : "the default transition of a history";
	if (has_event || has_cond)
		compile_error(c, code, node->at, "remove event and cond",
		              "%s has no event and no cond", what);
	if (!has_target)
		compile_error(c, code, node->at, NULL, "%s needs a target", what);
}

/* <initial> and <history> have exactly one transition; only one <initial>, one <content>, ... */
static void check_counts(struct compile *c, const struct xml_node *node)
{
	static const enum element singles[] = { EL_INITIAL, EL_CONTENT, EL_FINALIZE, EL_DONEDATA };
	for (size_t i = 0; i < sizeof(singles) / sizeof(singles[0]); i++) {
		size_t count = 0;
		for (const struct xml_node *child = node->first; child; child = child->next)
			if (child->kind == singles[i] && !child->is_refused && ++count == 2)
				compile_error(c, "scxml.conflict", child->at, "keep one of the two",
				              "<%s> has a second <%s>", node->name, child->name);
	}
	if (node->kind != EL_INITIAL && node->kind != EL_HISTORY)
		return;
	size_t count = 0;
	for (const struct xml_node *child = node->first; child; child = child->next)
		count += child->kind == EL_TRANSITION;
	if (count != 1)
		compile_error(c,
		              node->kind == EL_INITIAL ? "scxml.initial_transition"
		                                       : "scxml.history_transition",
		              node->at, NULL, "<%s> needs exactly one <transition>, here are %zu",
		              node->name, count);
}

/* <elseif> and <else> split an <if>; nothing but actions comes after <else>. */
static void check_branches(struct compile *c, const struct xml_node *node)
{
	bool has_else = false;
	for (const struct xml_node *child = node->first; child; child = child->next) {
		if (has_else && (child->kind == EL_ELSE || child->kind == EL_ELSEIF))
			compile_error(c, "scxml.misplaced_element", child->at, NULL,
			              "<%s> cannot come after <else>", child->name);
		has_else |= child->kind == EL_ELSE;
	}
}

static void check_root(struct compile *c, const struct xml_node *root)
{
	const struct xml_attr *version = node_attr(root, "version");
	if (version && strcmp(version->value, "1.0") != 0)
		compile_error(c, "scxml.version", version->at, "write version=\"1.0\"",
		              "this engine reads SCXML 1.0, not '%s'", version->value);
	const struct xml_attr *model = node_attr(root, "datamodel");
	if (model && strcmp(model->value, "lua") != 0 && strcmp(model->value, "null") != 0)
		compile_error(c, "scxml.datamodel", model->at, "write datamodel=\"lua\"",
		              "there is no data model '%s'", model->value);
	const struct xml_attr *binding = node_attr(root, "binding");
	if (binding && strcmp(binding->value, "early") != 0 && strcmp(binding->value, "late") != 0)
		compile_error(c, "scxml.bad_value", binding->at, "write early or late",
		              "binding cannot be '%s'", binding->value);
	const struct xml_attr *on_error = node_gw(root, "on-error");
	if (on_error && strcmp(on_error->value, "block") != 0)
		compile_error(c, "gw.bad_value", on_error->at,
		              "write gw:on-error=\"block\" or nothing",
		              "gw:on-error cannot be '%s'", on_error->value);
	if (!has_child(root, EL_STATE) && !has_child(root, EL_PARALLEL) &&
	    !has_child(root, EL_FINAL))
		compile_error(c, "scxml.no_state", root->at, NULL, "the graph has no state");
}

static void check_one(struct compile *c, const struct xml_node *node)
{
	check_unknown_attrs(c, node);
	check_required(c, node);
	check_twins(c, node);
	check_empty(c, node);
	check_content_conflicts(c, node);
	check_counts(c, node);
	if (node->kind == EL_SCXML)
		check_root(c, node);
	if (node->kind == EL_PARAM)
		check_param(c, node);
	if (node->kind == EL_TRANSITION)
		check_transition(c, node);
	if (node->kind == EL_IF)
		check_branches(c, node);
	if (node->kind == EL_CANCEL && !node_attr(node, "sendid") && !node_attr(node, "sendidexpr"))
		compile_error(c, "scxml.missing_attribute", node->at, NULL,
		              "<cancel> needs 'sendid' or 'sendidexpr'");
}

static void check_place(struct compile *c, struct xml_node *child)
{
	const struct xml_node *parent = child->parent;
	if (child->kind == EL_UNKNOWN) {
		const char *names[EL_UNKNOWN];
		for (int i = 0; i < EL_UNKNOWN; i++)
			names[i] = rules[i].name;
		compile_error(c, "scxml.unknown_element", child->at,
		              compile_nearest(c, child->name, names, EL_UNKNOWN),
		              "SCXML has no element <%s>", child->name);
		child->is_refused = true;
	} else if (!(rules[parent->kind].children & BIT(child->kind))) {
		compile_error(c, "scxml.misplaced_element", child->at, NULL,
		              "<%s> cannot stand in <%s>", child->name, parent->name);
		child->is_refused = true;
	}
}

void rules_check(struct compile *c, struct xml_node *node)
{
	for (struct xml_node *child = node->first; child; child = child->next)
		check_place(c, child);
	check_one(c, node);
	for (struct xml_node *child = node->first; child; child = child->next)
		if (!child->is_refused)
			rules_check(c, child);
}
