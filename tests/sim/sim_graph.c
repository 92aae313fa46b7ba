/* SPDX-License-Identifier: MIT */
/*
 * The graphs of a world: a row of blocks that the graph's own seed chooses.
 * Each version says the same in other words (a note, a title); a broken one
 * fails where a block is done, which blocks its runs until they are moved to a
 * whole one.  All of them come to an end when the world is well.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/must.h"
#include "sim.h"

/* Text with room for a number of its own: %1$d the block, %2$s what is done when it is over. */
struct block {
	const char *name, *text;
};

#define NEXT "target='b%1$d.end'"
#define FAILS                                                                         \
	"<transition event='error.communication error.execution' target='b%1$d.end'>" \
	"<script>fails = fails + 1</script></transition>"
#define CALL(action, more)                                                           \
	"<state id='b%1$d'><invoke id='c%1$d' type='far' src='" action "' " more ">" \
	"<param name='tag' expr=\"'b%1$d'\"/></invoke>"                              \
	"<transition event='done.invoke.c%1$d' " NEXT ">%2$s</transition>" FAILS "</state>"
#define REGION(letter, action)                                                              \
	"<state id='b%1$d." letter "' initial='b%1$d." letter "1'><state id='b%1$d." letter \
	"1'><invoke id='c%1$d." letter "' type='far' src='" action                          \
	"'><param name='tag' expr=\"'b%1$d." letter "'\"/></invoke>"                        \
	"<transition event='done.invoke.c%1$d." letter " error.communication.c%1$d." letter \
	" error.execution.c%1$d." letter "' target='b%1$d." letter "2'/></state>"           \
	"<final id='b%1$d." letter "2'/></state>"

static const struct block blocks[] = {
	{ "look", CALL("look", "") },
	{ "put", CALL("put", "") },
	{ "put retried by the graph",
	  "<state id='b%1$d' initial='b%1$d.try'><state id='b%1$d.try'>"
	  "<invoke id='c%1$d' type='far' src='put' gw:retries='0'>"
	  "<param name='tag' expr=\"'b%1$d'\"/></invoke>"
	  "<transition event='done.invoke.c%1$d' " NEXT ">%2$s</transition>"
	  "<transition event='error.communication.c%1$d' cond='tries &lt; 3' target='b%1$d.pause'>"
	  "<assign location='tries' expr='tries + 1'/></transition>"
	  "<transition event='error' " NEXT "/></state>"
	  "<state id='b%1$d.pause'><onentry><send event='again' delay='20s'/></onentry>"
	  "<transition event='again' target='b%1$d.try'/></state></state>" },
	{ "pay", CALL("pay", "") },
	{ "pay, taking the risk", CALL("pay", "gw:on-unsure='retry'") },
	{ "pay, failing when unsure", CALL("pay", "gw:on-unsure='fail'") },
	{ "pay by the bank", CALL("pay", "gw:connection='bank'") },
	{ "put by the bank", CALL("put", "gw:connection='bank'") },
	{ "poll", CALL("poll", "") },
	{ "pair", CALL("pair", "") },
	{ "mute", CALL("mute", "") },
	{ "parallel", "<parallel id='b%1$d'>" REGION("x", "look") REGION("y", "put")
	                      REGION("z", "pay") "<transition event='done.state.b%1$d' " NEXT
	                                         ">%2$s</transition></parallel>" },
	{ "each", "<state id='b%1$d'><invoke id='c%1$d' type='far' src='put' gw:each='{1,2,3,4,5}' "
	          "gw:as='i' gw:parallel='2'><param name='tag' expr=\"'b%1$d.' .. i\"/></invoke>"
	          "<transition event='done.invoke.c%1$d' " NEXT ">%2$s"
	          "<assign location='n' expr='n + #_event.data'/></transition>" FAILS "</state>" },
	{ "advice", CALL("look", "gw:advisory='adv' gw:fallback='sim#advice.risk'") },
	{ "send", "<state id='b%1$d'><onentry><send type='far' event='put'>"
	          "<param name='tag' expr=\"'b%1$d.send'\"/></send>"
	          "<send event='on.%1$d'/></onentry>"
	          "<transition event='on.%1$d' " NEXT ">%2$s</transition></state>" },
	{ "timer",
	  "<state id='b%1$d'><onentry><send event='t.%1$d' delay='30s'/>"
	  "<send event='t.never' delay='25s' id='n%1$d'/><cancel sendid='n%1$d'/></onentry>"
	  "<transition event='t.%1$d' " NEXT ">%2$s</transition></state>" },
	{ "long timer", "<state id='b%1$d'><onentry><send event='t.%1$d' delay='26h'/></onentry>"
	                "<transition event='t.%1$d' " NEXT ">%2$s</transition></state>" },
	{ "signal", "<state id='b%1$d'><transition event='go' " NEXT ">%2$s"
	            "<assign location='n' expr='n + 1'/></transition></state>" },
	{ "signal or time", "<state id='b%1$d'><onentry><send event='t.%1$d' delay='3h' "
	                    "id='s%1$d'/></onentry><onexit><cancel sendid='s%1$d'/></onexit>"
	                    "<transition event='go t.%1$d' " NEXT ">%2$s</transition></state>" },
	{ "approval",
	  "<state id='b%1$d'><invoke id='c%1$d' type='approval'>"
	  "<param name='role' expr=\"'lead'\"/>"
	  "<param name='title' expr=\"'May b%1$d?'\"/><param name='requested_by' expr=\"'ann'\"/>"
	  "<param name='due' expr=\"'1h'\"/></invoke>"
	  "<transition event='done.invoke.c%1$d' " NEXT ">%2$s"
	  "<assign location='outcome' expr='_event.data.outcome'/></transition></state>" },
	{ "approval that is left",
	  "<state id='b%1$d'><onentry><send event='t.%1$d' delay='2h'/></onentry>"
	  "<invoke id='c%1$d' type='approval'><param name='role' expr=\"'lead'\"/>"
	  "<param name='title' expr=\"'May b%1$d?'\"/></invoke>"
	  "<transition event='done.invoke.c%1$d t.%1$d' " NEXT ">%2$s</transition></state>" },
	{ "checklist",
	  "<state id='b%1$d'><invoke id='c%1$d' type='checklist'><param name='items' "
	  "expr=\"list({{id='a',title='A'},{id='m',title='M',after=list({'a'}),automatic=true},"
	  "{id='z',title='Z',after=list({'m'})}})\"/></invoke>"
	  "<transition event='done.invoke.c%1$d' " NEXT ">%2$s</transition></state>" },
	{ "rules",
	  "<state id='b%1$d'><invoke id='c%1$d' type='rules' src='sim#advice.risk'>"
	  "<param name='n' expr='n'/></invoke>"
	  "<transition event='done.invoke.c%1$d' target='b%1$d.t'>%2$s</transition></state>"
	  "<state id='b%1$d.t'><invoke id='r%1$d' type='template' src='note.txt'>"
	  "<param name='name' expr=\"'note%1$d.txt'\"/></invoke>"
	  "<transition event='done.invoke.r%1$d' " NEXT "/></state>" },
	{ "left before the answer",
	  "<state id='b%1$d'><onentry><send event='t.%1$d' delay='15ms'/></onentry>"
	  "<invoke id='c%1$d' type='far' src='put'><param name='tag' expr=\"'b%1$d'\"/></invoke>"
	  "<transition event='done.invoke.c%1$d t.%1$d error.communication.c%1$d' " NEXT
	  ">%2$s</transition></state>" },
	{ "child chart",
	  "<state id='b%1$d'><invoke id='c%1$d' type='scxml' src='child.scxml'/>"
	  "<transition event='hello' type='internal'>"
	  "<send target='#_c%1$d' event='go'/></transition>"
	  "<transition event='done.invoke.c%1$d' " NEXT ">%2$s</transition></state>" },
	{ "another run",
	  "<state id='b%1$d'><invoke id='c%1$d' type='gw:run' src='g9'><param name='input' "
	  "expr=\"{n = n}\"/></invoke>"
	  "<transition event='done.invoke.c%1$d' " NEXT ">%2$s</transition>" FAILS "</state>" },
	{ "work",
	  "<state id='b%1$d'><onentry><foreach array='{1,2,3,4,5,6,7,8}' item='i'>"
	  "<send event='w'/></foreach><send event='w.end'/></onentry>"
	  "<transition event='w.end' " NEXT ">%2$s</transition>"
	  "<transition event='w'><assign location='n' expr='n + 1'/></transition></state>" },
};
enum { BLOCKS = sizeof(blocks) / sizeof(*blocks) };

static const char child_text[] =
	"<scxml xmlns='http://www.w3.org/2005/07/scxml' version='1.0' datamodel='lua' name='child' "
	"initial='s'><state id='s'><onentry><send target='#_parent' event='hello'/></onentry>"
	"<transition event='go' target='e'/></state><final id='e'/></scxml>";

static const char small_text[] =
	"<scxml xmlns='http://www.w3.org/2005/07/scxml' xmlns:gw='https://gangway.dev/ns/graph' "
	"version='1.0' datamodel='lua' name='g9' initial='a' gw:on-error='block'><datamodel>"
	"<data id='n' expr='0'/></datamodel><state id='a'><invoke id='c' type='far' src='put'>"
	"<param name='tag' expr=\"'small'\"/></invoke><transition event='done.invoke.c error' "
	"target='e'/></state><final id='e'/></scxml>";

static const char *const names[SIM_GRAPHS] = { "g0", "g1", "g2" };

const char *graph_name(int i)
{
	return names[i];
}

/* --- files ------------------------------------------------------------------------------------ */

/* A new file takes the place of the old one, as editors save. */
static void write_file(struct world *world, const char *name, const char *text)
{
	char *path = mem_format("%s/%s", world->folder, name);
	char *beside = mem_format("%s/new", world->folder);
	for (char *slash = path + strlen(world->folder) + 1; (slash = strchr(slash, '/'));
	     slash++) {
		*slash = '\0';
		(void)mkdir(path, 0700);
		*slash = '/';
	}
	int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	must(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
	must(rename(beside, path) == 0);
	free(path);
	free(beside);
}

/* --- a graph ---------------------------------------------------------------------------------- */

/* The formats stand in the table above and take both arguments by position. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void put_block(struct buf *out, const struct block *block, int number, const char *done)
{
	buf_printf(out, "<!-- %s -->", block->name);
	buf_printf(out, block->text, number, done);
}
#pragma GCC diagnostic pop

static void put_head(struct world *world, int i, struct buf *out)
{
	bool is_exclusive = world->graph_seed[i] % 4 == 1,
	     has_search = world->graph_seed[i] % 3 == 1;
	buf_printf(out,
	           "<scxml xmlns='http://www.w3.org/2005/07/scxml' "
	           "xmlns:gw='https://gangway.dev/ns/graph' version='1.0' datamodel='lua' "
	           "name='%s' initial='all' gw:on-error='block'><datamodel>"
	           "<data id='fails' expr='0'/><data id='tries' expr='0'/><data id='n' expr='0'/>"
	           "<data id='outcome'%s/><data id='who' expr=\"''\"%s/></datamodel>"
	           "<!-- version %d -->",
	           names[i], has_search ? " gw:search='true'" : "",
	           is_exclusive ? " gw:exclusive='true'" : "", world->graph_version[i]);
	/* A message that did not get through is counted, wherever the run stands by then. */
	buf_put(out, "<state id='all' initial='b0'><transition event='error.communication' "
	             "type='internal'><script>fails = fails + 1</script></transition>");
}

void graph_write(struct world *world, int i)
{
	uint64_t state = (uint64_t)world->graph_seed[i];
	struct rand rand = rand_seeded(&state);
	struct buf out;
	buf_init(&out, 1 << 20);
	put_head(world, i, &out);
	int count = 1 + (int)rand_below(&rand, SIM_BLOCKS);
	const char *done = world->graph_broken[i] ? "<assign location='nowhere' expr='1'/>"
	                                          : "<script>n = n + 0</script>";
	for (int b = 0; b < count; b++) {
		put_block(&out, &blocks[rand_below(&rand, BLOCKS)], b, done);
		buf_printf(&out, "<state id='b%d.end'><transition target='b%d'/></state>", b,
		           b + 1);
	}
	buf_printf(&out,
	           "</state><final id='b%d'><donedata><param name='fails' expr='fails'/>"
	           "<param name='n' expr='n'/></donedata></final></scxml>",
	           count);
	char *name = mem_format("graphs/%s/%s.scxml", names[i], names[i]);
	write_file(world, name, out.bytes);
	say(world, "graph %s version %d%s", names[i], world->graph_version[i],
	    world->graph_broken[i] ? ", broken" : "");
	free(name);
	buf_release(&out);
}

void graphs_init(struct world *world)
{
	for (int i = 0; i < world->options.graphs; i++) {
		world->graph_seed[i] = between(world, 1, 1 << 30);
		world->graph_version[i] = 1;
		graph_write(world, i);
		char *child = mem_format("graphs/%s/child.scxml", names[i]);
		char *note = mem_format("graphs/%s/note.txt", names[i]);
		write_file(world, child, child_text);
		write_file(world, note, "n is {{ n }}, {{ now() }}\n");
		free(child);
		free(note);
	}
	write_file(world, "graphs/g9/g9.scxml", small_text);
	write_file(world, "rules/sim/ruleset.lua",
	           "return { name = 'sim', version = '1', domains = {}, decide = 'd.d' }");
	write_file(world, "rules/sim/d.lua", "return { d = function() return 'X', {} end }");
	write_file(world, "rules/sim/advice.lua",
	           "return { risk = function(p) return { level = 'none', n = p.n } end }");
	write_file(world, "prompts/none.md", "");
}
