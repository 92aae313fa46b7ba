/* SPDX-License-Identifier: MIT */
/*
 * The meta-schemas of draft 2020-12: which keywords there are and what values
 * they take, as schemas.  They are built in so that a $ref to one works
 * without any file.  The text is JSON with ' for ", to be legible in C;
 * meta_new() puts the quotes back.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/must.h"
#include "schema/schema_int.h"

#define DRAFT "https://json-schema.org/draft/2020-12/"
#define HEAD(name)                                             \
	"{'$schema':'" DRAFT "schema','$id':'" DRAFT name "'," \
	"'$dynamicAnchor':'meta','type':['object','boolean'],"
#define VOCABULARY(name) "'$vocabulary':{'" DRAFT "vocab/" name "':true},"
#define META "{'$dynamicRef':'#meta'}"
#define MAP_OF_META "{'type':'object','additionalProperties':" META ",'default':{}}"

struct meta {
	const char *uri, *text;
};

/* clang-format off */
static const struct meta metas[] = {
	{ DRAFT "schema",
	  HEAD("schema")
	  "'title':'Core and Validation specifications meta-schema',"
	  "'$vocabulary':{'" DRAFT "vocab/core':true,'" DRAFT "vocab/applicator':true,"
	  "'" DRAFT "vocab/unevaluated':true,'" DRAFT "vocab/validation':true,"
	  "'" DRAFT "vocab/meta-data':true,'" DRAFT "vocab/format-annotation':true,"
	  "'" DRAFT "vocab/content':true},"
	  "'allOf':[{'$ref':'meta/core'},{'$ref':'meta/applicator'},{'$ref':'meta/unevaluated'},"
	  "{'$ref':'meta/validation'},{'$ref':'meta/meta-data'},"
	  "{'$ref':'meta/format-annotation'},{'$ref':'meta/content'}],"
	  "'properties':{"
	  "'definitions':{'type':'object','additionalProperties':" META ",'deprecated':true,"
	  "'default':{}},"
	  "'dependencies':{'type':'object','additionalProperties':{'anyOf':[" META ","
	  "{'$ref':'meta/validation#/$defs/stringArray'}]},'deprecated':true,'default':{}},"
	  "'$recursiveAnchor':{'$ref':'meta/core#/$defs/anchorString','deprecated':true},"
	  "'$recursiveRef':{'$ref':'meta/core#/$defs/uriReferenceString','deprecated':true}}}" },

	{ DRAFT "meta/core",
	  HEAD("meta/core") VOCABULARY("core")
	  "'title':'Core vocabulary meta-schema',"
	  "'properties':{'$id':{'$ref':'#/$defs/uriReferenceString','pattern':'^[^#]*#?$'},"
	  "'$schema':{'$ref':'#/$defs/uriString'},'$ref':{'$ref':'#/$defs/uriReferenceString'},"
	  "'$anchor':{'$ref':'#/$defs/anchorString'},"
	  "'$dynamicRef':{'$ref':'#/$defs/uriReferenceString'},"
	  "'$dynamicAnchor':{'$ref':'#/$defs/anchorString'},"
	  "'$vocabulary':{'type':'object','propertyNames':{'$ref':'#/$defs/uriString'},"
	  "'additionalProperties':{'type':'boolean'}},"
	  "'$comment':{'type':'string'},'$defs':{'type':'object','additionalProperties':" META "}},"
	  "'$defs':{'anchorString':{'type':'string','pattern':'^[A-Za-z_][-A-Za-z0-9._]*$'},"
	  "'uriString':{'type':'string','format':'uri'},"
	  "'uriReferenceString':{'type':'string','format':'uri-reference'}}}" },

	{ DRAFT "meta/applicator",
	  HEAD("meta/applicator") VOCABULARY("applicator")
	  "'title':'Applicator vocabulary meta-schema',"
	  "'properties':{'prefixItems':{'$ref':'#/$defs/schemaArray'},'items':" META ","
	  "'contains':" META ",'additionalProperties':" META ",'properties':" MAP_OF_META ","
	  "'patternProperties':{'type':'object','additionalProperties':" META ","
	  "'propertyNames':{'format':'regex'},'default':{}},"
	  "'dependentSchemas':" MAP_OF_META ",'propertyNames':" META ","
	  "'if':" META ",'then':" META ",'else':" META ",'allOf':{'$ref':'#/$defs/schemaArray'},"
	  "'anyOf':{'$ref':'#/$defs/schemaArray'},'oneOf':{'$ref':'#/$defs/schemaArray'},"
	  "'not':" META "},"
	  "'$defs':{'schemaArray':{'type':'array','minItems':1,'items':" META "}}}" },

	{ DRAFT "meta/unevaluated",
	  HEAD("meta/unevaluated") VOCABULARY("unevaluated")
	  "'title':'Unevaluated applicator vocabulary meta-schema',"
	  "'properties':{'unevaluatedItems':" META ",'unevaluatedProperties':" META "}}" },

	{ DRAFT "meta/validation",
	  HEAD("meta/validation") VOCABULARY("validation")
	  "'title':'Validation vocabulary meta-schema',"
	  "'properties':{'type':{'anyOf':[{'$ref':'#/$defs/simpleTypes'},{'type':'array',"
	  "'items':{'$ref':'#/$defs/simpleTypes'},'minItems':1,'uniqueItems':true}]},"
	  "'const':true,'enum':{'type':'array','items':true},"
	  "'multipleOf':{'type':'number','exclusiveMinimum':0},'maximum':{'type':'number'},"
	  "'exclusiveMaximum':{'type':'number'},'minimum':{'type':'number'},"
	  "'exclusiveMinimum':{'type':'number'},"
	  "'maxLength':{'$ref':'#/$defs/nonNegativeInteger'},"
	  "'minLength':{'$ref':'#/$defs/nonNegativeIntegerDefault0'},"
	  "'pattern':{'type':'string','format':'regex'},"
	  "'maxItems':{'$ref':'#/$defs/nonNegativeInteger'},"
	  "'minItems':{'$ref':'#/$defs/nonNegativeIntegerDefault0'},"
	  "'uniqueItems':{'type':'boolean','default':false},"
	  "'maxContains':{'$ref':'#/$defs/nonNegativeInteger'},"
	  "'minContains':{'$ref':'#/$defs/nonNegativeInteger','default':1},"
	  "'maxProperties':{'$ref':'#/$defs/nonNegativeInteger'},"
	  "'minProperties':{'$ref':'#/$defs/nonNegativeIntegerDefault0'},"
	  "'required':{'$ref':'#/$defs/stringArray'},'dependentRequired':{'type':'object',"
	  "'additionalProperties':{'$ref':'#/$defs/stringArray'}}},"
	  "'$defs':{'nonNegativeInteger':{'type':'integer','minimum':0},"
	  "'nonNegativeIntegerDefault0':{'$ref':'#/$defs/nonNegativeInteger','default':0},"
	  "'simpleTypes':{'enum':['array','boolean','integer','null','number','object','string']},"
	  "'stringArray':{'type':'array','items':{'type':'string'},'uniqueItems':true,"
	  "'default':[]}}}" },

	{ DRAFT "meta/meta-data",
	  HEAD("meta/meta-data") VOCABULARY("meta-data")
	  "'title':'Meta-data vocabulary meta-schema',"
	  "'properties':{'title':{'type':'string'},'description':{'type':'string'},'default':true,"
	  "'deprecated':{'type':'boolean','default':false},"
	  "'readOnly':{'type':'boolean','default':false},"
	  "'writeOnly':{'type':'boolean','default':false},"
	  "'examples':{'type':'array','items':true}}}" },

	{ DRAFT "meta/format-annotation",
	  HEAD("meta/format-annotation") VOCABULARY("format-annotation")
	  "'title':'Format vocabulary meta-schema for annotation results',"
	  "'properties':{'format':{'type':'string'}}}" },

	{ DRAFT "meta/format-assertion",
	  HEAD("meta/format-assertion") VOCABULARY("format-assertion")
	  "'title':'Format vocabulary meta-schema for assertion results',"
	  "'properties':{'format':{'type':'string'}}}" },

	{ DRAFT "meta/content",
	  HEAD("meta/content") VOCABULARY("content")
	  "'title':'Content vocabulary meta-schema',"
	  "'properties':{'contentEncoding':{'type':'string'},'contentMediaType':{'type':'string'},"
	  "'contentSchema':" META "}}" },
};
/* clang-format on */

json_t *meta_new(const char *uri)
{
	for (size_t i = 0; i < sizeof(metas) / sizeof(metas[0]); i++) {
		if (strcmp(metas[i].uri, uri) != 0)
			continue;
		char *text = mem_dup_str(metas[i].text);
		for (char *p = text; *p; p++)
			if (*p == '\'')
				*p = '"';
		json_error_t at;
		json_t *ret = json_loads(text, JSON_REJECT_DUPLICATES, &at);
		free(text);
		must(ret);
		return ret;
	}
	return NULL;
}
