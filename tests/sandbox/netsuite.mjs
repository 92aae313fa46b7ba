// SPDX-License-Identifier: MIT
// NetSuite: signatures of an independent implementation, SuiteQL, records.
import { createHmac, randomBytes } from 'node:crypto';
import { call, client, form, ok, same, skip, tokens } from './lib.mjs';

const keys = { consumer: { key: 'ACMECK', secret: 'acme cs+1' }, token: { key: 'ACMETK', secret: 'acme/ts=2' } };

/* RFC 5849 in a few lines, for the cases that no library would produce. */
function sign(method, url, { realm = '1234567_SB1', secret = keys.token.secret, ...own } = {}) {
	const encode = text => encodeURIComponent(text).replace(/[!'()*]/g, c => '%' + c.charCodeAt(0).toString(16).toUpperCase());
	const at = new URL(url);
	const oauth = { oauth_consumer_key: keys.consumer.key, oauth_token: keys.token.key,
		oauth_nonce: randomBytes(12).toString('hex'), oauth_timestamp: String(Math.floor(Date.now() / 1000)),
		oauth_signature_method: 'HMAC-SHA256', oauth_version: '1.0', ...own };
	const pairs = [...Object.entries(oauth), ...at.searchParams].map(([k, v]) => [encode(k), encode(v)]);
	pairs.sort((a, b) => a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : a[1] < b[1] ? -1 : 1);
	const text = [method, encode(at.origin + at.pathname), encode(pairs.map(pair => pair.join('=')).join('&'))].join('&');
	oauth.oauth_signature = createHmac('sha256', `${encode(keys.consumer.secret)}&${encode(secret)}`).update(text).digest('base64');
	return `OAuth realm="${realm}", ` + Object.entries(oauth).map(([k, v]) => `${k}="${encode(v)}"`).join(', ');
}

async function logins(base) {
	const url = `${base}/services/rest/record/v1/invoice/1215?fields=tranId%2Cstatus&expandSubResources=true`;
	const get = Authorization => call('GET', url, { headers: { Authorization } });
	const header = sign('GET', url);
	same((await get(header)).data.tranId, 'INV-1001', 'a signed request');
	const again = await get(header);
	same([again.status, again.data['o:errorDetails'][0]['o:errorCode']], [401, 'INVALID_LOGIN'], 'its nonce serves once');
	ok(again.headers['www-authenticate']?.includes('error="nonce_used"'), 'and WWW-Authenticate says so', again.headers);
	const refusals = {
		'a wrong secret': { secret: 'other' }, 'another realm': { realm: '7654321' },
		'an old timestamp': { oauth_timestamp: String(Math.floor(Date.now() / 1000) - 400) },
		'a timestamp to come': { oauth_timestamp: String(Math.floor(Date.now() / 1000) + 400) },
		'HMAC-SHA1': { oauth_signature_method: 'HMAC-SHA1' }, 'another token': { oauth_token: 'X' },
	};
	for (const [name, own] of Object.entries(refusals))
		same((await get(sign('GET', url, own))).status, 401, `${name} is refused`);
	same((await get(sign('POST', url))).status, 401, 'a signature is for one method');
	same((await get(sign('GET', url.replace('1215', '1216')))).status, 401, 'and for one URL');
	same((await get('OAuth nonsense')).status, 401, 'what is no header is refused');
	const encode = value => Buffer.from(JSON.stringify(value)).toString('base64url');
	const grant = (alg, more) => call('POST', `${base}/services/rest/auth/oauth2/v1/token`, form({
		grant_type: 'client_credentials', client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
		client_assertion: `${encode({ typ: 'JWT', alg, kid: 'cert1' })}.${encode({ iss: 'sandbox-netsuite-client',
			scope: 'rest_webservices', aud: `${base}/services/rest/auth/oauth2/v1/token`,
			iat: Math.floor(Date.now() / 1000), exp: Math.floor(Date.now() / 1000) + 300, ...more })}.c2ln` }));
	const granted = await grant('PS256');
	same([granted.status, granted.data.token_type], [200, 'bearer'], 'an OAuth 2.0 token');
	same((await call('GET', url, { token: granted.data.access_token })).status, 200, 'serves as a bearer');
	same((await grant('RS256')).status, 400, 'RS256 is not accepted');
	same((await grant('PS256', { aud: 'https://elsewhere.example' })).status, 400, 'nor another audience');
}

async function withLibrary(base) {
	const module = await client('oauth-1.0a');
	if (!module)
		return skip('oauth-1.0a', 'not installed');
	const OAuth = module.default?.default ?? module.default;
	const oauth = new OAuth({ consumer: keys.consumer, signature_method: 'HMAC-SHA256', realm: '1234567_SB1',
		hash_function: (text, key) => createHmac('sha256', key).update(text).digest('base64') });
	const url = `${base}/services/rest/query/v1/suiteql?limit=10&offset=0`;
	const headers = { ...oauth.toHeader(oauth.authorize({ url, method: 'POST' }, keys.token)), Prefer: 'transient' };
	const reply = await call('POST', url, { headers, body: { q: "SELECT id FROM transaction WHERE type = 'CustInvc'" } });
	same([reply.status, reply.data.totalResults], [200, 4], "oauth-1.0a's signature is accepted");
}

async function queries(base) {
	const send = (q, query = '', headers = { Prefer: 'transient' }) =>
		call('POST', `${base}/services/rest/query/v1/suiteql${query}`, { token: tokens.netsuite, headers, body: { q } });
	const columns = "id, tranid, status, BUILTIN.DF(status) AS statusName, TO_CHAR(duedate,'YYYY-MM-DD') AS duedate,"
		+ ' trandate, foreigntotal, foreignamountunpaid, voided, memo, createddate, BUILTIN.DF(entity) AS entity';
	for (const where of ["otherrefnum = 'GAMMA-003'", "BUILTIN.DF(entity) = 'GAMMA-003'",
		"entity IN (SELECT id FROM customer WHERE entityid = 'GAMMA-003')"]) {
		const { data } = await send(`SELECT ${columns} FROM transaction WHERE type = 'CustInvc' AND ${where} ORDER BY id`);
		const item = data.items?.[0] ?? {};
		same([data.count, item.tranid, item.status, item.statusname, item.foreignamountunpaid, item.voided],
			[1, 'INV-1003', 'A', 'Invoice : Open', '48000', 'F'], `found by ${where}`);
		ok(/^\d{4}-\d\d-\d\d$/.test(item.duedate) && /^\d{1,2}\/\d{1,2}\/\d{4}$/.test(item.trandate), 'dates in both forms', item);
		ok(!('createddate' in item), 'a null column is left out');
	}
	const paged = await send("SELECT id FROM transaction ORDER BY id", '?limit=3&offset=0');
	same([paged.data.count, paged.data.hasMore, paged.data.totalResults], [3, true, 4], 'the first page');
	same((await send('SELECT id FROM transaction ORDER BY id', '?limit=3&offset=3')).data.hasMore, false, 'the last');
	same((await send("SELECT id FROM transaction WHERE otherrefnum = 'O''Brien'")).data.count, 0, 'a doubled quote is text');
	const bad = await send('SELECT nonsense FROM transaction');
	same([bad.status, bad.data['o:errorDetails'][0]['o:errorQueryParam']], [400, 'q'], 'an unknown column');
	same((await send('SELECT id FROM transaction', '', {})).status, 400, 'Prefer: transient is required');
	same((await send('SELECT id FROM transaction', '?limit=5000')).status, 400, 'a limit has a limit');
	same((await call('GET', `${base}/services/rest/query/v1/suiteql`, { token: tokens.netsuite })).status, 405, 'SuiteQL is a POST');
	same((await call('GET', `${base}/services/rest/record/v1/invoice/1`, { token: tokens.netsuite }))
		.data['o:errorDetails'][0]['o:errorCode'], 'NONEXISTENT_ID', 'an invoice that does not exist');
}

export default async function (box) {
	await logins(box.at.netsuite);
	await withLibrary(box.at.netsuite);
	await queries(box.at.netsuite);
}
