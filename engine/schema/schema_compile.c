/* SPDX-License-Identifier: MIT */
/*
 * The compiler's frame: nodes on demand, a queue instead of recursion, and the
 * checks that need all nodes (dynamic anchors, loops).
 */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/must.h"
#include "schema/schema_int.h"

enum mark { MARK_NEW, MARK_OPEN, MARK_DONE };

struct node *compile_node(struct compiler *compiler, const struct location *at)
{
	const char *key = arena_format(&compiler->arena, "%zu#%s", at->resource->origin->id,
	                               at->pointer);
	struct node *node = map_get(&compiler->nodes, key);
	if (node)
		return node;
	node = arena_alloc(&compiler->schema->arena, sizeof(*node));
	map_set(&compiler->nodes, key, node);
	compiler->node_count++;
	node->pointer = arena_dup_str(&compiler->schema->arena, at->pointer);
	node->is_boolean = json_is_boolean(at->json);
	if (node->is_boolean) {
		node->boolean = json_is_true(at->json);
		return node;
	}
	node->resource = at->resource;
	*vec_add(&compiler->queue) = (struct pending){ node, *at };
	return node;
}

static int drain(struct compiler *compiler)
{
	for (size_t i = 0; i < compiler->queue.len; i++) {
		struct pending next = compiler->queue.at[i]; /* the queue may move */
		if (compiler->node_count > LIMIT_SCHEMA_NODES)
			return err_set_id(
				compiler->err, ERR_LIMIT, "schema.nodes",
				"the schema has more than %d subschemas (LIMIT_SCHEMA_NODES)",
				LIMIT_SCHEMA_NODES);
		if (keywords_compile(compiler, next.node, &next.at) < 0)
			return compiler->err->code;
	}
	compiler->queue.len = 0;
	return 0;
}

/* --- dynamic anchors --------------------------------------------------------- */

static size_t count_anchors(struct map *anchors)
{
	size_t cursor = 0, ret = 0;
	for (struct map_entry *entry; (entry = map_each(anchors, &cursor));)
		ret += ((struct anchor *)entry->value)->is_dynamic;
	return ret;
}

static void add_anchors(struct compiler *compiler, struct resource *resource)
{
	struct map *anchors = &resource->origin->anchors;
	size_t cursor = 0;
	resource->dynamic = arena_alloc(&compiler->schema->arena,
	                                count_anchors(anchors) * sizeof(*resource->dynamic));
	resource->dynamic_count = 0;
	for (struct map_entry *entry; (entry = map_each(anchors, &cursor));) {
		const struct anchor *anchor = entry->value;
		if (anchor->is_dynamic)
			resource->dynamic[resource->dynamic_count++] = (struct dynamic_anchor){
				anchor->name, compile_node(compiler, &anchor->location)
			};
	}
}

/*
 * A $dynamicRef may lead to any anchor of its name, so all of them need nodes;
 * compiling those may bring in more documents with more anchors.
 */
static int compile_dynamic_anchors(struct compiler *compiler)
{
	size_t before;
	do {
		before = compiler->node_count;
		for (size_t i = 0; i < compiler->all.len; i++)
			add_anchors(compiler, compiler->all.at[i]);
		if (drain(compiler) < 0)
			return compiler->err->code;
	} while (compiler->node_count > before);
	compiler->schema->is_dynamic = true;
	return 0;
}

/* --- loops ---------------------------------------------------------------------- */

static int visit(struct compiler *compiler, struct node *node, size_t depth);

static int visit_all(struct compiler *compiler, struct node *const *nodes, size_t count,
                     size_t depth)
{
	for (size_t i = 0; i < count; i++)
		if (nodes[i] && visit(compiler, nodes[i], depth) < 0)
			return compiler->err->code;
	return 0;
}

/* The nodes that a rule applies to the very same value. */
static int visit_rule(struct compiler *compiler, const struct rule *rule, size_t depth)
{
	switch ((int)rule->kind) {
	case RULE_REF:
	case RULE_NOT: return visit_all(compiler, &rule->as.node, 1, depth);
	case RULE_DYNAMIC_REF: return visit_all(compiler, &rule->as.dynamic.node, 1, depth);
	case RULE_ALL_OF:
	case RULE_ANY_OF:
	case RULE_ONE_OF: return visit_all(compiler, rule->as.nodes.at, rule->as.nodes.len, depth);
	case RULE_IF: {
		struct node *three[] = { rule->as.conditional.condition, rule->as.conditional.yes,
			                 rule->as.conditional.no };
		return visit_all(compiler, three, 3, depth);
	}
	case RULE_DEPENDENT_SCHEMAS:
		for (size_t i = 0; i < rule->count; i++)
			if (visit(compiler, rule->as.dependents[i].node, depth) < 0)
				return compiler->err->code;
		return 0;
	default: return 0; /* assertions, and rules that go down into the value */
	}
}

/* A schema that applies itself to the same value would never end. */
static int visit(struct compiler *compiler, struct node *node, size_t depth)
{
	if (node->mark == MARK_DONE)
		return 0;
	bool is_loop = node->mark == MARK_OPEN;
	if (is_loop || depth > LIMIT_SCHEMA_DEPTH) {
		struct location at = { compiler->all.at[0], node->pointer, NULL };
		for (size_t i = 0; i < compiler->all.len; i++)
			if (compiler->all.at[i] == node->resource)
				at.resource = compiler->all.at[i];
		return compile_refuse(compiler, &at, NULL, "%s",
		                      is_loop ? "refers to itself without end"
		                              : "refers to others too deeply (LIMIT_SCHEMA_DEPTH)");
	}
	node->mark = MARK_OPEN;
	for (size_t i = 0; i < node->rule_count; i++)
		if (visit_rule(compiler, &node->rules[i], depth + 1) < 0)
			return compiler->err->code;
	node->mark = MARK_DONE;
	return 0;
}

static int refuse_loops(struct compiler *compiler)
{
	size_t cursor = 0;
	for (struct map_entry *entry; (entry = map_each(&compiler->nodes, &cursor));)
		if (visit(compiler, entry->value, 0) < 0)
			return compiler->err->code;
	return 0;
}

/* --- the frame ---------------------------------------------------------------------- */

static int compile(struct compiler *compiler, const json_t *json, const char *base_uri)
{
	struct location root;
	if (index_main(compiler, json, base_uri, &root) < 0)
		return compiler->err->code;
	compiler->schema->root = compile_node(compiler, &root);
	if (drain(compiler) < 0)
		return compiler->err->code;
	if (compiler->has_dynamic_refs && compile_dynamic_anchors(compiler) < 0)
		return compiler->err->code;
	return refuse_loops(compiler);
}

static void release(struct compiler *compiler)
{
	for (size_t i = 0; i < compiler->all.len; i++)
		compiler->all.at[i]->origin = NULL;
	for (size_t i = 0; i < compiler->built_in.len; i++)
		json_decref(compiler->built_in.at[i]);
	vec_release(&compiler->built_in);
	vec_release(&compiler->all);
	vec_release(&compiler->queue);
	map_release(&compiler->resources);
	map_release(&compiler->walked);
	map_release(&compiler->nodes);
	map_release(&compiler->names);
	arena_release(&compiler->arena);
}

int schema_new(const json_t *json, const char *base_uri, const struct schema_source *source,
               struct schema **ret, struct err *err)
{
	struct schema *schema = mem_alloc(sizeof(*schema));
	arena_init(&schema->arena);
	struct compiler compiler = { .schema = schema, .source = source, .err = err };
	arena_init(&compiler.arena);
	int status = compile(&compiler, json, base_uri ? base_uri : "");
	release(&compiler);
	if (status < 0) {
		schema_free(schema);
		return status;
	}
	*ret = schema;
	return 0;
}

void schema_free(struct schema *schema)
{
	if (!schema)
		return;
	arena_release(&schema->arena);
	free(schema);
}
