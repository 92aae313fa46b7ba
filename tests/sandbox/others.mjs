// SPDX-License-Identifier: MIT
// CLM, Slack, provisioning, mail.
import { call, client, clmAccount, control, form, ok, raw, same, skip, tokens } from './lib.mjs';

/* --- CLM ------------------------------------------------------------------- */

export async function clm(box) {
	const base = box.at.clm, root = `${base}/restapi/v2.1/accounts/${clmAccount}`, token = tokens.clm;
	const get = path => call('GET', root + path, { token });
	const id = '93be49ab-0000-4000-8000-0000000ac001';
	const envelope = (await get(`/envelopes/${id}?include=recipients,custom_fields`)).data;
	same([envelope.status, envelope.recipients?.signers?.length], ['completed', 2], 'an executed contract is a completed envelope');
	const customer = envelope.recipients.signers.find(signer => signer.roleName === 'Customer');
	same([customer.name, customer.email, customer.status], ['Ann Acme', 'ann@acme.example', 'completed'], 'its customer signatory');
	const fields = Object.fromEntries(envelope.customFields.textCustomFields.map(field => [field.name, field.value]));
	ok(/^\d{4}-\d\d-\d\d$/.test(fields.effective_date) && fields.expiry_date > fields.effective_date && fields.key_terms.length > 10,
		'its dates and terms', fields);
	const scalars = value => typeof value === 'object' ? Object.values(value).every(scalars) : typeof value === 'string';
	ok(scalars(envelope), 'all scalars are strings');
	const listed = (await get('/envelopes?from_date=2020-01-01&include=recipients&custom_field=account_id%3DACME-001')).data;
	same([listed.resultSetSize, listed.envelopes?.[0]?.envelopeId], ['1', id], 'found by a custom field');
	same((await get('/envelopes?from_date=2020-01-01&search_text=GAMMA-003')).data.resultSetSize, '1', 'found by a text');
	same((await get('/envelopes?from_date=2020-01-01&search_text=MISSING-999')).data.resultSetSize, '0', 'or not found');
	same((await get(`/envelopes?envelope_ids=${id},x`)).data.resultSetSize, '1', 'found by ids');
	same((await get('/envelopes?from_date=2999-01-01')).data.resultSetSize, '0', 'not changed since');
	same((await get('/envelopes')).data.errorCode, 'INVALID_REQUEST_PARAMETER', 'from_date is required');
	const missing = await get('/envelopes/00000000-0000-4000-8000-000000000000');
	same([missing.status, missing.data.errorCode], [400, 'ENVELOPE_DOES_NOT_EXIST'], 'a missing envelope is a 400');
	same((await call('GET', `${base}/restapi/v2.1/accounts/other/envelopes/${id}`, { token })).status, 401, 'another account');
	same((await call('GET', `${root}/envelopes/${id}`)).data.errorCode, 'USER_AUTHENTICATION_FAILED', 'no token');
	ok((await get(`/envelopes/${id}`)).headers['x-ratelimit-reset'], 'rate limit headers');
	const document = (await call('GET', `${base}/v2/${clmAccount}/documents/d0c00000-0000-4000-8000-0000000ac001?expand=AttributeGroups`, { token })).data;
	same(document.AttributeGroups?.Contract?.Status?.Value, 'Executed', 'a CLM document');
	const encode = value => Buffer.from(JSON.stringify(value)).toString('base64url');
	const claims = { iss: '1b000001-0000-4000-8000-0000000ac001', sub: '05000001-0000-4000-8000-0000000ac001',
		aud: 'account-d.docusign.com', scope: 'signature impersonation', exp: Math.floor(Date.now() / 1000) + 600 };
	const grant = more => call('POST', `${base}/oauth/token`, form({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
		assertion: `${encode({ alg: 'RS256' })}.${encode({ ...claims, ...more })}.c2ln` }));
	const granted = await grant({});
	same([granted.status, granted.data.expires_in], [200, 3600], 'a JWT grant');
	const info = await call('GET', `${base}/oauth/userinfo`, { token: granted.data.access_token });
	same([info.data.accounts?.[0]?.account_id, info.data.accounts?.[0]?.base_uri], [clmAccount, base], 'userinfo names the base');
	same((await grant({ aud: 'https://account-d.docusign.com' })).status, 400, 'an audience has no scheme');
	same((await grant({ scope: 'openid' })).data.error, 'consent_required', 'consent');
}

/* --- Slack ----------------------------------------------------------------- */

export async function slack(box) {
	const base = box.at.slack, token = tokens.slack;
	const post = (method, body, more = {}) => call('POST', `${base}/api/${method}`, { token, body, ...more });
	const module = await client('@slack/web-api');
	if (module) {
		const { WebClient, LogLevel } = module.default ?? module;
		const web = new WebClient(token, { slackApiUrl: `${base}/api/`, retryConfig: { retries: 0 }, rejectRateLimitedCalls: true,
			logLevel: LogLevel.ERROR });
		const posted = await web.chat.postMessage({ channel: '#cs-onboarding', text: 'For ACME-001',
			blocks: [{ type: 'section', text: { type: 'mrkdwn', text: '*ACME-001*' } }] });
		ok(posted.ok && posted.ts && posted.channel === 'C0CSONB0001', '@slack/web-api: postMessage', posted);
		const changed = await web.chat.update({ channel: posted.channel, ts: posted.ts, text: 'Done' });
		ok(changed.ok, '@slack/web-api: update', changed);
		const kept = (await control(box, 'messages')).find(message => message.ts === posted.ts);
		same([kept.text, kept.updates, kept.account], ['Done', 1, 'ACME-001'], 'the message is kept');
		const nowhere = await web.chat.postMessage({ channel: '#nowhere', text: 'x' }).catch(error => error);
		same(nowhere.data?.error, 'channel_not_found', '@slack/web-api: an unknown channel');
		await control(box, 'faults', 'POST', { system: 'slack', kind: '429', count: 1 });
		const limited = await web.chat.postMessage({ channel: '#general', text: 'x' }).catch(error => error);
		same([limited.code, limited.retryAfter], ['slack_webapi_rate_limited_error', 1], '@slack/web-api: 429 with Retry-After');
	} else {
		skip('@slack/web-api', 'not installed');
	}
	const error = async (method, body, more) => (await post(method, body, more)).data.error;
	same((await post('chat.postMessage', { channel: 'C0CSONB0001', text: 'x' })).data.ok, true, 'a channel by its id');
	same(await error('chat.postMessage', { channel: '#general' }), 'no_text', 'no text');
	same(await error('chat.postMessage', { channel: '#old-deals', text: 'x' }), 'is_archived', 'an archived channel');
	same(await error('chat.postMessage', { channel: '#general', blocks: [{}] }), 'invalid_blocks', 'blocks without a type');
	same(await error('chat.postMessage', { channel: '#general', text: 'x' }, { token: 'wrong' }), 'invalid_auth', 'a wrong token');
	same(await error('chat.postMessage', { channel: '#general', text: 'x' }, { token: undefined }), 'not_authed', 'no token');
	same(await error('chat.update', { channel: '#general', ts: '1', text: 'x' }), 'channel_not_found', 'an update wants the id');
	same(await error('chat.update', { channel: 'C0GENERAL01', ts: '1', text: 'x' }), 'message_not_found', 'and the ts');
	same(await error('chat.nonsense', {}), 'unknown_method', 'an unknown method');
	const hook = `${base}/services/T0SANDBOX/B0SANDBOX/sandbox-slack-hook`;
	same((await call('POST', hook, { body: { text: 'x' } })).data, 'ok', 'an incoming webhook says ok');
	same((await call('POST', hook, { body: {} })).data, 'invalid_payload', 'an empty one does not');
	same((await call('POST', `${base}/services/a/b/c`, { body: { text: 'x' } })).status, 404, 'another hook');
}

/* --- provisioning ---------------------------------------------------------- */

export async function provision(box) {
	const base = `${box.at.provision}/v1`, token = tokens.provision;
	const body = { externalId: 'ACME-001', name: 'ACME Ltd', plan: 'enterprise', region: 'eu-west-1', configuration: { sso: true } };
	const create = (key, more = {}) => call('POST', `${base}/tenants`, { token, headers: key ? { 'Idempotency-Key': key } : {},
		body: { ...body, ...more } });
	await control(box, 'reset', 'POST');
	same((await create(null)).status, 400, 'a key is required');
	const first = await create('"key-1"');
	same([first.status, first.data.status, first.data.configuration], [201, 'active', { sso: true }], 'a tenant');
	ok(first.data.id && first.data.login_url?.startsWith('https://'), 'with id and login', first.data);
	const again = await create('key-1');
	same([again.status, again.data], [201, first.data], 'the same key, bare: the same reply');
	same((await create('key-1', { plan: 'starter' })).status, 422, 'the same key, another payload');
	const other = await create('key-2');
	ok(other.status === 201 && other.data.id !== first.data.id, 'another key makes another tenant');
	const listed = await call('GET', `${base}/tenants?externalId=ACME-001`, { token });
	same([listed.data.total, listed.data.items.length], [2, 2], 'so a duplicate can be counted');
	same((await control(box, 'tenants')).map(tenant => tenant.idempotency_key), ['key-1', 'key-2'], 'with the keys used');
	same((await call('GET', `${base}/tenants/${first.data.id}`, { token })).data.plan, 'enterprise', 'a tenant by id');
	same((await call('DELETE', `${base}/tenants/${other.data.id}`, { token })).status, 204, 'deleted');
	same((await call('DELETE', `${base}/tenants/${other.data.id}`, { token })).status, 404, 'and gone');
	same((await create('key-3', { plan: '' })).status, 400, 'a plan is required');
	same((await call('POST', `${base}/tenants`, { token, headers: { 'Idempotency-Key': 'k', 'Content-Type': 'text/plain' }, body: '{}' })).status,
		415, 'JSON is required');
	const stranger = await call('GET', `${base}/tenants`, { token: 'wrong' });
	same([stranger.status, stranger.headers['content-type']], [401, 'application/problem+json'], 'errors are problem details');
}

/* --- mail ------------------------------------------------------------------ */

const session = (...lines) => lines.join('\r\n') + '\r\n';
const message = session('From: Ann <ann@acme.example>', 'To: bob@beta.example', 'Subject: =?UTF-8?B?SMOpbGxv?= =?UTF-8?Q?_W=C3=B6rld?=',
	'MIME-Version: 1.0', 'Content-Type: multipart/alternative; boundary="b"', '', '--b', 'Content-Type: text/plain; charset=utf-8',
	'Content-Transfer-Encoding: quoted-printable', '', 'H=C3=A9llo=', ' you', '..dot', '--b', 'Content-Type: text/html; charset=utf-8',
	'Content-Transfer-Encoding: base64', '', 'PGI+QUNNRS0wMDE8', 'L2I+', '--b--', '.');
const envelope = session('EHLO test', 'MAIL FROM:<ann@acme.example>', 'RCPT TO:<bob@beta.example>', 'DATA');

export async function smtp(box) {
	const talk = text => raw(box.at.smtp.replace('smtp:', 'http:'), text);
	await control(box, 'reset', 'POST');
	const replies = await talk(envelope + message + session('QUIT'));
	same(replies.trim().split('\r\n').map(line => line.slice(0, 4)),
		['220 ', '250-', '250-', '250-', '250-', '250-', '250-', '250 ', '250 ', '250 ', '354 ', '250 ', '221 '], 'a session');
	const [mail] = await control(box, 'mail');
	same([mail?.subject, mail?.from, mail?.to, mail?.account], ['Héllo Wörld', 'ann@acme.example', ['bob@beta.example'], 'ACME-001'],
		'the mail is kept');
	same([mail?.text, mail?.html], ['Héllo you\r\n.dot', '<b>ACME-001</b>'], 'its parts are decoded, its dots unstuffed');
	const refused = { 'a bare LF in a command': ['EHLO a\n', '500'],
		'MAIL before EHLO': [session('MAIL FROM:<a@b.example>'), '503'],
		'DATA before RCPT': [session('EHLO a', 'MAIL FROM:<a@b.example>', 'DATA'), '503'],
		'an address without brackets': [session('EHLO a', 'MAIL FROM:a@b.example'), '501'],
		'an address with a space': [session('EHLO a', 'MAIL FROM:<a b@c.example>'), '501'],
		'two addresses': [session('EHLO a', 'MAIL FROM:<a@b.example>', 'RCPT TO:<c@d.example>,<e@f.example>'), '501'],
		'wrong credentials': [session('EHLO a', 'AUTH PLAIN AGEAYg=='), '535'],
		'a bare LF in a message': [envelope + 'From: a@b.example\r\n\r\nx\n.\nMAIL FROM:<evil@b.example>\r\n.\r\n', '554'],
		'a line of 1,000 bytes': [envelope + `From: a@b.example\r\n\r\n${'x'.repeat(1000)}\r\n.\r\n`, '554'],
		'a message without From': [envelope + 'To: a@b.example\r\n\r\nx\r\n.\r\n', '550'] };
	for (const [name, [text, code]] of Object.entries(refused)) {
		const last = (await talk(text)).trim().split('\r\n').pop();
		same(last.slice(0, 3), code, `${name}: ${code}`);
	}
	same((await control(box, 'mail')).length, 1, 'nothing of that was kept');
	for (const [kind, code] of [['503', '451'], ['403', '554']]) {
		await control(box, 'faults', 'POST', { system: 'smtp', kind, count: 1 });
		same((await talk(envelope + message)).trim().split('\r\n').pop().slice(0, 3), code, `an injected ${kind} is ${code}`);
	}
	await control(box, 'faults', 'POST', { system: 'smtp', kind: 'lost', count: 1 });
	ok((await talk(envelope + message)).trim().endsWith('<CRLF>.<CRLF>'), 'a lost reply');
	same((await control(box, 'mail')).length, 2, 'for a mail that was taken');
	const module = await client('nodemailer');
	if (!module)
		return skip('nodemailer', 'not installed');
	const { hostname, port } = new URL(box.at.smtp);
	const mailer = module.default.createTransport({ host: hostname, port: Number(port), secure: false, ignoreTLS: true,
		auth: { user: 'sandbox-smtp-user', pass: 'sandbox-smtp-password' } });
	await mailer.sendMail({ from: 'Ann <ann@acme.example>', to: 'bob@beta.example, c@d.example', subject: 'Grüße',
		text: 'Plain\n.\nline', html: '<p>Hüllo</p>', attachments: [{ filename: 'a.txt', content: 'attached' }] });
	const last = (await control(box, 'mail')).pop();
	same([last.subject, last.to.length, last.authenticated, last.html], ['Grüße', 2, true, '<p>Hüllo</p>'], 'nodemailer');
	same([last.text.replace(/\r/g, ''), last.parts.find(part => part.filename)?.body], ['Plain\n.\nline', 'attached'], 'nodemailer: parts');
}
