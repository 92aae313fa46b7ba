// SPDX-License-Identifier: MIT
// Salesforce: jsforce first, then what jsforce does not show.
import { call, client, form, ok, same, skip, tokens } from './lib.mjs';

const oauth = { clientId: 'sandbox-salesforce-client', clientSecret: 'sandbox-salesforce-secret' };

async function withJsforce(base) {
	const module = await client('jsforce');
	if (!module)
		return skip('jsforce', 'not installed');
	const jsforce = module.default ?? module;
	const connection = new jsforce.Connection({ loginUrl: base, instanceUrl: base, version: '60.0',
		oauth2: { loginUrl: base, ...oauth }, maxRequest: 10 });
	await connection.authorize({ grant_type: 'client_credentials' });
	ok(connection.accessToken?.startsWith('00Dxx0000001gER!'), 'jsforce: authorize gets a token');
	same(connection.instanceUrl, base, 'jsforce: the instance is the sandbox');
	same((await connection.identity()).organization_id, '00Dxx0000001gEREAY', 'jsforce: identity');

	const found = await connection.query(
		"SELECT Id, Name, IsDeleted, Owner.Email FROM Account WHERE AccountNumber = 'ACME-001'");
	same([found.totalSize, found.done, found.records[0]?.Name], [1, true, 'ACME Ltd'], 'jsforce: query');
	same(found.records[0]?.Owner?.Email, 'olivia.owner@gangway.example', 'jsforce: a parent field');
	const account = found.records[0].Id;
	same((await connection.sobject('Account').retrieve(account)).BillingCountry, 'United Kingdom',
		'jsforce: retrieve');
	const deals = await connection.sobject('Opportunity')
		.find({ AccountId: account, IsWon: true }, ['Id', 'StageName', 'Amount', 'ContractId'])
		.sort({ CloseDate: -1 }).limit(5);
	same(deals.map(deal => [deal.StageName, deal.Amount]), [['Closed Won', 250000]], 'jsforce: find');
	const none = await connection.query("SELECT Id FROM Account WHERE AccountNumber = 'MISSING-999'");
	same(none.totalSize, 0, 'jsforce: an account that does not exist is an empty answer');

	const created = await connection.sobject('Opportunity').create(
		{ Name: 'New', StageName: 'Prospecting', CloseDate: '2026-12-31', AccountId: account });
	ok(created.success && created.id.length === 18, 'jsforce: create', created);
	await connection.sobject('Opportunity').update({ Id: created.id, StageName: 'Qualification' });
	same((await connection.sobject('Opportunity').retrieve(created.id)).StageName, 'Qualification',
		'jsforce: update');
	await connection.sobject('Opportunity').destroy(created.id);
	const gone = await connection.sobject('Opportunity').retrieve(created.id).catch(error => error);
	same(gone.errorCode, 'ENTITY_IS_DELETED', 'jsforce: a deleted record');

	const refused = await connection.query('SELECT Nonsense FROM Account').catch(error => error);
	same(refused.errorCode, 'INVALID_FIELD', 'jsforce: the error of an unknown field');
	same((await connection.query('SELECT Id FORM Account').catch(error => error)).errorCode,
		'MALFORMED_QUERY', 'jsforce: the error of a malformed query');
	ok((await connection.sobject('Account').describe()).fields.some(field => field.name === 'OwnerId'),
		'jsforce: describe');

	const reply = await connection.request({ method: 'POST', url: '/services/data/v60.0/composite',
		headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(composite('ACME-001')) });
	same(reply.compositeResponse.map(part => part.httpStatusCode), [200, 200, 200, 200],
		'jsforce: composite with references');
	same(reply.compositeResponse[3].body.Email, 'olivia.owner@gangway.example', 'jsforce: the last of it');
	ok(connection.limitInfo?.apiUsage?.used > 0, 'jsforce: reads Sforce-Limit-Info', connection.limitInfo);

	const stranger = new jsforce.Connection({ instanceUrl: base, accessToken: 'wrong', version: '60.0' });
	same((await stranger.query('SELECT Id FROM Account').catch(error => error)).errorCode,
		'INVALID_SESSION_ID', 'jsforce: a wrong token');
}

const query = (soql, all) => `/services/data/v60.0/query${all ? 'All' : ''}?q=${encodeURIComponent(soql)}`;

function composite(account) {
	return { allOrNone: false, compositeRequest: [
		{ method: 'GET', referenceId: 'account', url: query(
			`SELECT Id, Name, IsDeleted, OwnerId FROM Account WHERE AccountNumber = '${account}'`, true) },
		{ method: 'GET', referenceId: 'deal', url: '/services/data/v60.0/query?q=SELECT+Id,StageName,ContractId'
			+ '+FROM+Opportunity+WHERE+AccountId=%27@{account.records[0].Id}%27' },
		{ method: 'GET', referenceId: 'contract',
			url: '/services/data/v60.0/sobjects/Contract/@{deal.records[0].ContractId}' },
		{ method: 'GET', referenceId: 'owner',
			url: '/services/data/v60.0/sobjects/User/@{account.records[0].OwnerId}?fields=Id,Email,IsActive' },
	] };
}

async function logins(base) {
	const url = `${base}/services/oauth2/token`;
	const wrong = await call('POST', url, form({ grant_type: 'client_credentials', client_id: 'x', client_secret: 'y' }));
	same([wrong.status, wrong.data.error], [400, 'invalid_client'], 'a wrong secret gets no token');
	const other = await call('POST', url, form({ grant_type: 'password', username: 'a', password: 'b' }));
	same(other.data.error, 'unsupported_grant_type', 'another grant is not offered');
	const basic = await call('POST', url, { ...form({ grant_type: 'client_credentials' }), headers: {
		'Content-Type': 'application/x-www-form-urlencoded',
		Authorization: `Basic ${Buffer.from(`${oauth.clientId}:${oauth.clientSecret}`).toString('base64')}` } });
	same(basic.status, 200, 'HTTP Basic is accepted');
	ok(!('expires_in' in basic.data) && !('refresh_token' in basic.data), 'the token has no stated life');
	const encode = value => Buffer.from(JSON.stringify(value)).toString('base64url');
	const jwt = claims => `${encode({ alg: 'RS256' })}.${encode(claims)}.c2ln`;
	const claims = { iss: oauth.clientId, sub: 'integration@gangway.example',
		aud: 'https://login.salesforce.com', exp: Math.floor(Date.now() / 1000) + 180 };
	const grant = assertion => call('POST', url,
		form({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion }));
	const good = await grant(jwt(claims));
	same([good.status, 'signature' in good.data], [200, false], 'a JWT is accepted by its shape');
	same((await grant(jwt({ ...claims, aud: url }))).data.error, 'invalid_grant', 'the token URL is no audience');
	same((await grant(jwt({ ...claims, exp: 1 }))).data.error, 'invalid_grant', 'an expired JWT is refused');
	same((await call('POST', url, { body: { grant_type: 'client_credentials' } })).status, 400,
		'a token request is a form');
	return good.data.access_token;
}

async function queries(base, token) {
	const get = soql => call('GET', base + query(soql), { token });
	const code = async soql => (await get(soql)).data[0]?.errorCode;
	const all = await call('GET', base + query("SELECT Id, IsDeleted FROM Account WHERE AccountNumber = 'DELETED-004'", true), { token });
	same(all.data.records?.[0]?.IsDeleted, true, 'queryAll sees a deleted account');
	same((await get("SELECT Id FROM Account WHERE AccountNumber = 'DELETED-004'")).data.totalSize, 0,
		'query does not');
	same((await call('GET', `${base}/services/data/v60.0/sobjects/Account/${all.data.records[0].Id}`, { token }))
		.data[0].errorCode, 'ENTITY_IS_DELETED', 'a single read says so');
	same((await get("SELECT Id FROM Account WHERE Name = 'x\\' OR Name != \\''")).data.totalSize, 0,
		'an escaped quote stays text');
	same(await code("SELECT Id FROM Account WHERE Name = 'O''Brien'"), 'MALFORMED_QUERY', 'a doubled quote is no escape');
	same(await code("SELECT Id FROM Account WHERE Name = 'a\\q'"), 'MALFORMED_QUERY', 'an unknown escape');
	same(await code("SELECT Id FROM Account WHERE Name = 'a' AND Industry = 'b' OR Name = 'c'"),
		'MALFORMED_QUERY', 'AND beside OR needs parentheses');
	same(await code("SELECT Id FROM Opportunity WHERE Amount > '5'"), 'INVALID_FIELD', 'a number is not quoted');
	same(await code("SELECT Id FROM Opportunity WHERE AccountId = 'ACME-001'"), 'INVALID_QUERY_FILTER_OPERATOR',
		'what is no id is refused as one');
	same(await code('SELECT Id FROM Nonsense'), 'INVALID_TYPE', 'an unknown object');
	const rich = await get("SELECT Name FROM Opportunity WHERE (Amount >= 48000 AND StageName IN ('Closed Won'))"
		+ " OR (NOT Amount < 1000000) ORDER BY Amount DESC NULLS LAST LIMIT 2");
	same(rich.data.records?.map(record => record.Name),
		['ACME Ltd - Enterprise plan', 'Gamma GmbH - Growth plan'], 'conditions, order, limit');
	const joined = await get("SELECT Id FROM Opportunity WHERE AccountId IN"
		+ " (SELECT Id FROM Account WHERE AccountNumber LIKE 'ACME%')");
	same(joined.data.totalSize, 1, 'a semi join');
	same((await get("SELECT Id FROM Opportunity WHERE Account.AccountNumber = 'ACME-001'")).data.totalSize, 1,
		"a condition on a parent's field");
	const short = (await get("SELECT Id FROM Account WHERE AccountNumber = 'ACME-001'")).data.records[0].Id;
	same((await get(`SELECT Id FROM Account WHERE Id = '${short.slice(0, 15)}'`)).data.totalSize, 1,
		'an id of 15 characters');
}

async function parts(base, token) {
	const send = (path, body, headers) => call('POST', `${base}/services/data/${path}`, { token, body, headers });
	const missing = await send('v60.0/composite', composite('MISSING-999'));
	same(missing.data.compositeResponse.map(part => part.httpStatusCode), [200, 400, 400, 400],
		'what refers to nothing is halted');
	same(missing.data.compositeResponse[1].body[0].errorCode, 'PROCESSING_HALTED', 'with its code');
	const halted = await send('v60.0/composite', { allOrNone: true, compositeRequest: [
		{ method: 'POST', referenceId: 'made', url: '/services/data/v60.0/sobjects/Account', body: { Name: 'Halted' } },
		{ method: 'GET', referenceId: 'gone', url: '/services/data/v60.0/sobjects/Account/001000000000000AAA' } ] });
	same(halted.data.compositeResponse.map(part => part.body[0].errorCode), ['PROCESSING_HALTED', 'NOT_FOUND'],
		'allOrNone names the part that failed');
	const left = await call('GET', base + query("SELECT Id FROM Account WHERE Name = 'Halted'"), { token });
	same(left.data.totalSize, 0, 'and takes the others back');
	const many = Array.from({ length: 26 }, (_, i) => ({ method: 'GET', referenceId: `r${i}`, url: '/services/data/v60.0/limits' }));
	same((await send('v60.0/composite', { compositeRequest: many })).status, 400, 'at most 25 subrequests');
	const six = Array.from({ length: 6 }, (_, i) => ({ method: 'GET', referenceId: `r${i}`, url: query('SELECT Id FROM Account') }));
	same((await send('v60.0/composite', { compositeRequest: six })).status, 400, 'at most five of them queries');
	const batch = await send('v60.0/composite/batch', { haltOnError: true, batchRequests: [
		{ method: 'GET', url: 'v60.0/limits' }, { method: 'GET', url: 'v60.0/sobjects/Account/x' },
		{ method: 'GET', url: 'v60.0/limits' } ] });
	same([batch.data.hasErrors, ...batch.data.results.map(part => part.statusCode)], [true, 200, 404, 412], 'batch');
	const bare = await send('v60.0/sobjects/Opportunity', { Name: 'x' });
	same([bare.status, bare.data[0].errorCode, bare.data[0].fields], [400, 'REQUIRED_FIELD_MISSING', ['StageName', 'CloseDate']],
		'required fields');
	same((await send('v60.0/sobjects/Account', { Nme: 'x' })).data[0].errorCode, 'INVALID_FIELD', 'an unknown field');
	same((await send('v60.0/composite', '{}', { 'Content-Type': 'text/plain' })).status, 415, 'JSON is JSON only with its type');
	same((await send('v60.0/composite', '{"a":', { 'Content-Type': 'application/json' })).status, 400, 'broken JSON');
	same((await call('PUT', `${base}/services/data/v60.0/composite`, { token })).status, 405, 'another method');
	same((await call('GET', `${base}/services/data/v25.0/limits`, { token })).status, 410, 'a retired version');
	same((await call('GET', `${base}/services/data/v99.0/limits`, { token })).status, 404, 'a version to come');
	same((await call('GET', `${base}/services/data/v60.0/limits`)).status, 401, 'no token');
	const external = await call('GET', `${base}/services/data/v60.0/sobjects/Account/AccountNumber/ACME-001?fields=Name`, { token });
	same(external.data.Name, 'ACME Ltd', 'a read by external id');
}

async function pages(base, token) {
	const records = Array.from({ length: 200 }, (_, i) => ({ attributes: { type: 'Account' }, Name: `Page ${i}` }));
	const made = await call('POST', `${base}/services/data/v60.0/composite/sobjects`, { token, body: { records } });
	same(made.data.filter(one => one.success).length, 200, 'a collection of 200');
	const first = await call('GET', base + query("SELECT Id FROM Account"), { token,
		headers: { 'Sforce-Query-Options': 'batchSize=200' } });
	same([first.data.done, first.data.records.length], [false, 200], 'the first page');
	const next = await call('GET', base + first.data.nextRecordsUrl, { token });
	same([next.data.done, next.data.records.length, next.data.totalSize], [true, first.data.totalSize - 200, first.data.totalSize],
		'the next by nextRecordsUrl');
	const broken = await call('POST', `${base}/services/data/v60.0/composite/sobjects`,
		{ token, body: { records: [{ attributes: { type: 'Account' } }] } });
	same(broken.data[0].errors[0].statusCode, 'REQUIRED_FIELD_MISSING', "a collection's errors say statusCode");
}

export default async function (box) {
	const base = box.at.salesforce;
	await withJsforce(base);
	const token = await logins(base);
	await queries(base, token);
	await parts(base, tokens.salesforce);
	await pages(base, token);
	await call('DELETE', `${box.at.control}/_sandbox/tokens?system=salesforce`);
	same((await call('GET', `${base}/services/data/v60.0/limits`, { token })).data[0].errorCode, 'INVALID_SESSION_ID',
		'an expired token');
}
