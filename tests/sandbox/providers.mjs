// SPDX-License-Identifier: MIT
// The other ways to ask a model: OpenAI's Responses, Anthropic's Messages, Bedrock's Converse,
// each by the package that its maker publishes.
import { call, client, control, ok, required, same, skip, tokens } from './lib.mjs';

const schema = { type: 'object', additionalProperties: false, required: ['verdict', 'score'], properties: {
	verdict: { type: 'string', enum: ['ok', 'risk'] }, score: { type: 'integer', minimum: 3, maximum: 9 } } };
const fits = value => ['ok', 'risk'].includes(value?.verdict) && value.score >= 3 && value.score <= 9;
const question = 'What of ACME-001?';

/* --- OpenAI: Responses ------------------------------------------------------- */

export async function responses(box) {
	const module = await client('openai');
	if (!module)
		return skip('openai: responses', 'not installed');
	const openai = new module.default({ baseURL: box.at.llm, apiKey: tokens.llm, maxRetries: 0 });
	const ask = more => openai.responses.create({ model: 'gpt-4o-mini', input: question, ...more });
	const format = { type: 'json_schema', name: 'advice', strict: true, schema };
	const plain = await ask({ instructions: 'Be short.' });
	same([plain.status, plain.output[0].type, plain.output_text.length > 10], ['completed', 'message', true], 'openai: responses');
	ok(plain.usage.total_tokens === plain.usage.input_tokens + plain.usage.output_tokens, 'openai: its usage', plain.usage);
	ok(fits(JSON.parse((await ask({ text: { format } })).output_text)), 'openai: a response that fits its schema');
	same((await openai.responses.retrieve(plain.id)).output[0].content[0].text, plain.output_text, 'openai: a stored response');
	const private_ = await ask({ store: false });
	same((await openai.responses.retrieve(private_.id).catch(error => error)).status, 404, 'openai: store: false keeps nothing');
	const tools = [{ type: 'function', name: 'lookup', parameters: schema, strict: true }];
	const called = await ask({ tools, tool_choice: 'required' });
	same([called.output[0].type, called.output[0].name], ['function_call', 'lookup'], 'openai: a function call');
	ok(fits(JSON.parse(called.output[0].arguments)), 'openai: with arguments');
	const after = await ask({ input: [{ role: 'user', content: question }, called.output[0],
		{ type: 'function_call_output', call_id: called.output[0].call_id, output: '{}' }] });
	same(after.status, 'completed', 'openai: what the function answered');
	const cut = await ask({ max_output_tokens: 16, text: { format: { ...format, name: 'cut' } }, input: question });
	ok(['completed', 'incomplete'].includes(cut.status), 'openai: a limit of tokens');
	const short = await ask({ max_output_tokens: 2 });
	same([short.status, short.incomplete_details?.reason], ['incomplete', 'max_output_tokens'], 'openai: cut short inside HTTP 200');
	let text = '', last = null;
	for await (const event of await ask({ stream: true, text: { format } })) {
		text += event.type === 'response.output_text.delta' ? event.delta : '';
		last = event;
	}
	ok(last?.type === 'response.completed' && fits(JSON.parse(text)), 'openai: streamed to response.completed', last?.type);
	const loose = await ask({ text: { format: { ...format, schema: { type: 'object', properties: { a: { type: 'string' } } } } } }).catch(error => error);
	ok(loose instanceof module.default.BadRequestError, 'openai: a loose schema is refused', loose);
	same((await ask({ model: 'nonsense' }).catch(error => error)).code, 'model_not_found', 'openai: an unknown model');
	same((await ask({ input: [{ role: 'robot', content: 'x' }] }).catch(error => error)).status, 400, 'openai: an unknown role');
}

/* --- Anthropic ----------------------------------------------------------------- */

export async function anthropic(box) {
	const module = await client('@anthropic-ai/sdk');
	const base = new URL(box.at.llm).origin, body = { model: 'claude-sonnet-5', max_tokens: 500, messages: [{ role: 'user', content: question }] };
	const send = (more, headers) => call('POST', `${base}/v1/messages`, { body: { ...body, ...more },
		headers: { 'x-api-key': tokens.llm, 'anthropic-version': '2026-10-21', ...headers } });
	same((await send({}, { 'anthropic-version': '' })).data.error?.type, 'invalid_request_error', 'messages: the version is required');
	same((await send({ max_tokens: undefined })).data.error?.message, 'max_tokens: Field required', 'messages: max_tokens is required');
	same((await send({ temperature: 1 })).status, 400, 'messages: no temperature any more, even at its default');
	same((await send({ temperature: 1 }, { 'anthropic-version': '2023-06-01' })).status, 200, 'messages: which the older version took');
	same((await send({ messages: [{ role: 'system', content: 'x' }] })).status, 400, 'messages: no system role');
	await control(box, 'faults', 'POST', { system: 'llm', kind: '503', count: 1, path: '/v1/messages' });
	same([(await send({})).status], [529], 'messages: overloaded has a number of its own');
	if (!module)
		return skip('@anthropic-ai/sdk', 'not installed');
	const Anthropic = module.default;
	const claude = new Anthropic({ baseURL: base, apiKey: tokens.llm, maxRetries: 0 });
	const ask = more => claude.messages.create({ ...body, ...more });
	const plain = await ask({ system: 'Be short.' });
	same([plain.type, plain.stop_reason, plain.content[0].type], ['message', 'end_turn', 'text'], 'anthropic: messages');
	ok(plain.usage.input_tokens > 0 && plain.usage.output_tokens > 0, 'anthropic: usage', plain.usage);
	const format = { type: 'json_schema', schema };
	ok(fits(JSON.parse((await ask({ output_config: { format } })).content[0].text)), 'anthropic: structured output');
	const tools = [{ name: 'emit', description: 'd', input_schema: schema }];
	const called = await ask({ tools, tool_choice: { type: 'tool', name: 'emit' } });
	ok(called.stop_reason === 'tool_use' && fits(called.content[0].input), 'anthropic: a tool, its input an object', called.content);
	same((await ask({ max_tokens: 2 })).stop_reason, 'max_tokens', 'anthropic: cut short');
	const stream = claude.messages.stream({ ...body, output_config: { format } });
	let text = '';
	stream.on('text', piece => text += piece);
	const final = await stream.finalMessage();
	ok(fits(JSON.parse(text)) && final.stop_reason === 'end_turn', 'anthropic: streamed', text);
	const used = await claude.messages.stream({ ...body, tools, tool_choice: { type: 'any' } }).finalMessage();
	ok(fits(used.content[0].input), 'anthropic: a streamed tool', used.content);
	ok((await claude.messages.countTokens({ model: body.model, messages: body.messages })).input_tokens > 0, 'anthropic: tokens counted');
	ok((await claude.models.list()).data.length > 0, 'anthropic: models');
	const stranger = new Anthropic({ baseURL: base, apiKey: 'wrong', maxRetries: 0 });
	ok(await stranger.messages.create(body).catch(error => error) instanceof Anthropic.AuthenticationError, 'anthropic: a wrong key');
	ok(await ask({ model: 'gpt-5' }).catch(error => error) instanceof Anthropic.NotFoundError, 'anthropic: an unknown model');
	await control(box, 'faults', 'POST', { system: 'llm', kind: '429', count: 1 });
	ok(await ask({}).catch(error => error) instanceof Anthropic.RateLimitError, 'anthropic: a rate limit');
}

/* --- Bedrock --------------------------------------------------------------------- */

const keys = { accessKeyId: 'AKIASANDBOXBEDROCK01', secretAccessKey: 'sandbox/bedrock+secret' };
const modelId = 'anthropic.claude-sonnet-5-20260601-v1:0';

/* The package speaks HTTP/2 unless it is given its own HTTP/1.1 handler; the sandbox speaks HTTP/1.1. */
function bedrockClient(module, handler, box, more = {}) {
	return new module.BedrockRuntimeClient({ region: 'us-east-1', endpoint: new URL(box.at.llm).origin, credentials: keys,
		requestHandler: new handler.NodeHttpHandler(), maxAttempts: 1, ...more });
}

export async function bedrock(box) {
	const base = new URL(box.at.llm).origin, messages = [{ role: 'user', content: [{ text: question }] }];
	const bearer = await call('POST', `${base}/model/${encodeURIComponent(modelId)}/converse`, { token: tokens.llm, body: { messages } });
	same([bearer.status, bearer.data.stopReason], [200, 'end_turn'], 'converse: an API key is a bearer token');
	const none = await call('POST', `${base}/model/${encodeURIComponent(modelId)}/converse`, { body: { messages } });
	same([none.status, none.headers['x-amzn-errortype']?.split(':')[0]], [403, 'UnrecognizedClientException'], 'converse: no signature');
	const module = required('@aws-sdk/client-bedrock-runtime'), handler = required('@smithy/node-http-handler');
	if (!module || !handler)
		return skip('@aws-sdk/client-bedrock-runtime', 'not installed');
	const aws = bedrockClient(module, handler, box);
	const ask = (more, client = aws) => client.send(new module.ConverseCommand({ modelId, messages, ...more }));
	const failed = async (more, client) => (await ask(more, client).catch(error => error)).name;
	const plain = await ask({ system: [{ text: 'Be short.' }], inferenceConfig: { maxTokens: 300 } });
	same([plain.stopReason, plain.output.message.role], ['end_turn', 'assistant'], 'bedrock: converse, a model id with a colon');
	ok(plain.usage.totalTokens === plain.usage.inputTokens + plain.usage.outputTokens, 'bedrock: usage', plain.usage);
	const arn = 'arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-5';
	same((await ask({ modelId: arn })).stopReason, 'end_turn', 'bedrock: an ARN is one segment of the path');
	const session = bedrockClient(module, handler, box, { credentials: { ...keys, sessionToken: 'sandbox-bedrock-session-token' } });
	same((await ask({}, session)).stopReason, 'end_turn', 'bedrock: with a session token');
	const tools = { tools: [{ toolSpec: { name: 'emit', description: 'd', inputSchema: { json: schema } } }], toolChoice: { tool: { name: 'emit' } } };
	const used = await ask({ toolConfig: tools });
	ok(used.stopReason === 'tool_use' && fits(used.output.message.content[0].toolUse.input), 'bedrock: a tool', used.output);
	const textFormat = { type: 'json_schema', structure: { jsonSchema: { name: 'advice', schema: JSON.stringify(schema) } } };
	ok(fits(JSON.parse((await ask({ outputConfig: { textFormat } })).output.message.content[0].text)), 'bedrock: structured output');
	let text = '', stop = '', usage = null;
	const streamed = await aws.send(new module.ConverseStreamCommand({ modelId, messages, outputConfig: { textFormat } }));
	for await (const event of streamed.stream) {
		text += event.contentBlockDelta?.delta?.text ?? '';
		stop = event.messageStop?.stopReason ?? stop;
		usage = event.metadata?.usage ?? usage;
	}
	ok(fits(JSON.parse(text)) && stop === 'end_turn' && usage?.totalTokens > 0, 'bedrock: the binary stream', { text, stop, usage });
	const wrong = bedrockClient(module, handler, box, { credentials: { ...keys, secretAccessKey: 'wrong' } });
	same(await failed({}, wrong), 'InvalidSignatureException', 'bedrock: a wrong secret');
	const late = bedrockClient(module, handler, box, { systemClockOffset: -10 * 60 * 1000 });
	same(await failed({}, late), 'InvalidSignatureException', 'bedrock: a clock that is ten minutes slow');
	same(await failed({ modelId: 'nonsense' }), 'ValidationException', 'bedrock: an unknown model');
	same(await failed({ messages: [] }), 'ValidationException', 'bedrock: no messages');
	for (const [kind, name] of [['429', 'ThrottlingException'], ['403', 'AccessDeniedException'], ['500', 'InternalServerException'],
		['503', 'ServiceUnavailableException']]) {
		await control(box, 'faults', 'POST', { system: 'llm', kind, count: 1 });
		same(await failed({}), name, `bedrock: an injected ${kind} is a ${name}`);
	}
}
