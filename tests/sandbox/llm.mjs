// SPDX-License-Identifier: MIT
// The LLM: openai from npm, each answer checked against the schema that went out.
import { call, client, control, ok, same, skip, tokens } from './lib.mjs';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { source } from './lib.mjs';

const schema = { type: 'object', additionalProperties: false, required: ['verdict', 'why', 'score', 'steps'],
	properties: { verdict: { type: 'string', enum: ['ok', 'risk'] }, why: { type: ['string', 'null'] },
		score: { type: 'integer', minimum: 3, maximum: 9 },
		steps: { type: 'array', minItems: 2, maxItems: 4, items: { $ref: '#/$defs/step' } } },
	$defs: { step: { type: 'object', additionalProperties: false, required: ['title', 'owner'],
		properties: { title: { type: 'string', maxLength: 20 }, owner: { enum: ['CS', 'Legal'] } } } } };

const format = (name, of = schema) => ({ type: 'json_schema', json_schema: { name, strict: true, schema: of } });
const messages = [{ role: 'system', content: 'S' }, { role: 'user', content: 'About ACME-001.' }];

/* The schema of a prompt as it is shipped, or null. */
function promptSchema(name) {
	try {
		const text = readFileSync(path.join(source, 'prompts', `${name}.md`), 'utf8');
		return JSON.parse(text.split(/^# schema$/m)[1].replace(/^```.*$/mg, ''));
	} catch {
		return null;
	}
}

async function withOpenai(base) {
	const module = await client('openai');
	if (!module)
		return skip('openai', 'not installed');
	const OpenAI = module.default;
	const openai = new OpenAI({ baseURL: base, apiKey: tokens.llm, maxRetries: 0 });
	const ask = more => openai.chat.completions.create({ model: 'gpt-4o-mini', messages, ...more });
	const first = await ask({ response_format: format('advice') });
	const answer = JSON.parse(first.choices[0].message.content);
	ok(['ok', 'risk'].includes(answer.verdict) && answer.score >= 3 && answer.score <= 9 && answer.steps.length === 2
		&& answer.steps.every(step => step.title.length <= 20 && ['CS', 'Legal'].includes(step.owner))
		&& Object.keys(answer).length === 4, 'openai: an answer that fits its schema', answer);
	same(first.choices[0].finish_reason, 'stop', 'openai: finished');
	ok(first.usage.total_tokens === first.usage.prompt_tokens + first.usage.completion_tokens
		&& first.usage.completion_tokens > 0, 'openai: usage', first.usage);
	const second = await ask({ response_format: format('advice') });
	same(second.choices[0].message.content, first.choices[0].message.content, 'openai: the same again');

	let text = '', usage = null;
	const stream = await ask({ response_format: format('advice'), stream: true, stream_options: { include_usage: true } });
	for await (const chunk of stream) {
		text += chunk.choices[0]?.delta?.content ?? '';
		usage = chunk.usage ?? usage;
	}
	same(text, first.choices[0].message.content, 'openai: streamed, it says the same');
	same(usage?.total_tokens, first.usage.total_tokens, 'openai: with the same usage at the end');

	const tools = [{ type: 'function', function: { name: 'lookup', parameters: schema } }];
	const called = await ask({ tools, tool_choice: 'required' });
	same([called.choices[0].finish_reason, called.choices[0].message.tool_calls[0].function.name], ['tool_calls', 'lookup'],
		'openai: a tool call that is required');
	ok(JSON.parse(called.choices[0].message.tool_calls[0].function.arguments).steps.length === 2, 'openai: its arguments fit');
	same((await ask({})).choices[0].message.content.length > 10, true, 'openai: plain text');
	ok((await openai.models.list()).data.some(model => model.id === 'gpt-4o-mini'), 'openai: models');

	const stranger = new OpenAI({ baseURL: base, apiKey: 'wrong', maxRetries: 0 });
	const refused = await stranger.models.list().catch(error => error);
	ok(refused instanceof OpenAI.AuthenticationError && refused.code === 'invalid_api_key', 'openai: AuthenticationError', refused);
	const unknown = await ask({ model: 'no-such-model' }).catch(error => error);
	ok(unknown instanceof OpenAI.NotFoundError && unknown.code === 'model_not_found', 'openai: NotFoundError', unknown);
	const loose = { type: 'object', properties: { a: { type: 'string' } }, required: ['a'] };
	const bad = await ask({ response_format: format('loose', loose) }).catch(error => error);
	ok(bad instanceof OpenAI.BadRequestError && /additionalProperties/.test(bad.message), 'openai: BadRequestError', bad);
	return { OpenAI, openai, ask };
}

async function withFaults(box, { OpenAI, openai, ask }) {
	const kinds = { 429: OpenAI.RateLimitError, 500: OpenAI.InternalServerError, 401: OpenAI.AuthenticationError };
	for (const [kind, type] of Object.entries(kinds)) {
		await control(box, 'faults', 'POST', { system: 'llm', kind, count: 1 });
		ok(await ask({}).catch(error => error) instanceof type, `openai: an injected ${kind} is a ${type.name}`);
	}
	await control(box, 'faults', 'POST', { system: 'llm', kind: '429', count: 1 });
	const again = await openai.chat.completions.create({ model: 'gpt-4o-mini', messages }, { maxRetries: 1 });
	ok(again.choices.length === 1, 'openai: retries after a 429');
}

async function prompts(base) {
	for (const name of ['risk', 'summary', 'actions', 'errors']) {
		const of = promptSchema(name);
		if (!of) {
			skip(`prompt ${name}`, 'not shipped yet');
			continue;
		}
		const reply = await call('POST', `${base}/chat/completions`, { token: tokens.llm, body: { model: 'gpt-4o-mini',
			messages: [{ role: 'user', content: '{"account_id": "GAMMA-003", "verdict": {"decision": "ESCALATE"}}' }],
			response_format: format(name, of) } });
		const text = reply.data.choices?.[0]?.message?.content ?? '';
		const answer = JSON.parse(text || '{}');
		ok(of.required.every(key => key in answer) && !text.includes('sandbox model'), `prompt ${name} has a canned answer`, text);
		if (name === 'risk')
			same(answer.level, 'medium', 'which follows the decision');
	}
}

export default async function (box) {
	const base = box.at.llm;
	const openai = await withOpenai(base);
	if (openai)
		await withFaults(box, openai);
	await prompts(base);
	const send = (body, headers) => call('POST', `${base}/chat/completions`, { token: tokens.llm, body, headers });
	same((await send({ model: 'gpt-4o' })).status, 400, 'messages are required');
	same((await send({ messages })).status, 400, 'a model is required');
	same((await send('{}', { 'Content-Type': 'text/plain' })).status, 400, 'JSON is required');
	same((await call('GET', `${base}/chat/completions`, { token: tokens.llm })).status, 405, 'another method');
	same((await call('POST', `${base}/nonsense`, { token: tokens.llm, body: {} })).status, 404, 'another path');
}
