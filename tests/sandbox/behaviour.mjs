// SPDX-License-Identifier: MIT
// What is the sandbox's own: scenarios, faults, inspection, garbage, the command line.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { call, clmAccount, control, ok, raw, same, scenarios, start, tokens } from './lib.mjs';

const soql = (box, text) => call('GET', `${box.at.salesforce}/services/data/v60.0/query?q=${encodeURIComponent(text)}`,
	{ token: tokens.salesforce });
const suiteql = (box, account) => call('POST', `${box.at.netsuite}/services/rest/query/v1/suiteql`, { token: tokens.netsuite,
	headers: { Prefer: 'transient' }, body: { q: `SELECT id, status FROM transaction WHERE otherrefnum = '${account}'` } });
const envelopes = (box, account) => call('GET', `${box.at.clm}/restapi/v2.1/accounts/${clmAccount}/envelopes?from_date=2020-01-01`
	+ `&include=recipients&custom_field=account_id%3D${account}`, { token: tokens.clm });

/* A copied file with another account_id and other values is another account. */
export async function copies() {
	const { dir, remove } = scenarios();
	const box = await start('--scenarios', dir);
	const write = (name, data) => writeFileSync(path.join(dir, `${name}.json`), typeof data === 'string' ? data : JSON.stringify(data));
	const acme = () => JSON.parse(readFileSync(path.join(dir, 'ACME-001.json')));
	const copy = acme();
	copy.account_id = 'COPY-777';
	copy.salesforce.opportunity.StageName = 'Prospecting';
	copy.netsuite.invoice.status = 'A';
	copy.clm.contract.status = 'SIGNED';
	write('COPY-777', copy);
	const deals = await soql(box, "SELECT Id, StageName, AccountId, ContractId FROM Opportunity WHERE Account.AccountNumber = 'COPY-777'");
	same(deals.data.records?.map(deal => deal.StageName), ['Prospecting'], 'a copied file is an account at once');
	const own = deals.data.records[0], first = acme().salesforce.opportunity;
	ok(own.Id !== first.Id && own.AccountId !== first.AccountId && own.Id.length === 18, 'with ids of its own', own);
	same((await soql(box, `SELECT Id FROM Opportunity WHERE AccountId = '${first.AccountId}'`)).data.totalSize, 1,
		'the original still has one opportunity');
	same((await suiteql(box, 'COPY-777')).data.items?.map(item => item.status), ['A'], 'and one invoice');
	const listed = (await envelopes(box, 'COPY-777')).data.envelopes?.[0];
	same([listed?.status, listed?.recipients?.signers?.map(signer => signer.status)], ['delivered', ['completed', 'completed']],
		'SIGNED: all have signed, the envelope is not completed');
	copy.salesforce.opportunity.StageName = 'Closed Won';
	delete copy.salesforce.opportunity.AccountId;
	write('COPY-777', copy);
	const changed = await soql(box, `SELECT StageName, AccountId FROM Opportunity WHERE AccountId = '${own.AccountId}'`);
	same(changed.data.records?.map(deal => [deal.StageName, deal.AccountId]), [['Closed Won', null]],
		'a change is seen at once; a missing link is null but still found');
	write('COPY-777', '{"account_id": ');
	same((await suiteql(box, 'COPY-777')).data.count, 1, 'a broken file changes nothing');
	const health = await control(box, 'health');
	ok(health.status === 'degraded' && /COPY-777/.test(health.errors[0]), 'and health says so', health);
	write('COPY-777', { ...copy, salesforc: {} });
	ok(/did you mean "salesforce"/.test((await control(box, 'health')).errors[0]), 'a misspelt member is named');
	write('COPY-777', { ...copy, account_id: 'ACME-001' });
	ok(/stands in ACME-001.json already/.test((await control(box, 'health')).errors[0]), 'an account has one file');
	rmSync(path.join(dir, 'COPY-777.json'));
	same([(await suiteql(box, 'COPY-777')).data.count, (await control(box, 'health')).status], [0, 'ok'], 'a removed file is no account');
	const several = acme();
	several.account_id = 'MANY-1';
	several.salesforce.opportunities = [{ ...several.salesforce.opportunity, Id: '0065g00000Op999AAB', Name: 'Second' }];
	several.netsuite.invoices = [{ ...several.netsuite.invoice, id: '777001' }];
	several.refuse = ['bounce@acme.example'];
	several.faults = { netsuite: { kind: '500', times: 1 } };
	several.provision = { mode: 'async', polls: 1 };
	write('MANY-1', several);
	same((await soql(box, "SELECT Id FROM Opportunity WHERE Account.AccountNumber = 'MANY-1'")).data.totalSize, 2, 'several opportunities');
	same([(await suiteql(box, 'MANY-1')).status, (await suiteql(box, 'ACME-001')).status, (await suiteql(box, 'MANY-1')).data.count], [500, 200, 2],
		'a fault of one account, once');
	ok(/550 5\.1\.1/.test(await raw(box.at.smtp.replace('smtp:', 'http:'),
		'EHLO a\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<bounce@acme.example>\r\n')), 'an address that is refused');
	await provisioned(box, 'MANY-1');
	const ownerless = acme();
	ownerless.account_id = 'LESS-1';
	delete ownerless.salesforce.user;
	ownerless.faults = { salesforce: { kind: '403', times: 1 } };
	write('LESS-1', ownerless);
	const composite = () => call('POST', `${box.at.salesforce}/services/data/v60.0/composite`, { token: tokens.salesforce, body: { allOrNone: false,
		compositeRequest: [{ method: 'GET', referenceId: 'acc', url: '/services/data/v60.0/query?q='
			+ encodeURIComponent("SELECT OwnerId FROM Account WHERE AccountNumber = 'LESS-1'").replaceAll("'", '%27') }] } });
	same((await composite()).status, 403, 'an account named in the URL of a Composite request is known');
	const owner = (await composite()).data.compositeResponse?.[0].body.records?.[0].OwnerId;
	same([owner?.slice(0, 3), owner?.length], ['005', 18], 'a copy without its user still names an owner');
	same((await call('GET', `${box.at.salesforce}/services/data/v60.0/sobjects/User/${owner}`, { token: tokens.salesforce })).status, 404,
		'who is not the user of the file it was copied from');
	await box.stop();
	remove();
}

async function provisioned(box, externalId) {
	const base = box.at.provision, token = tokens.provision;
	const made = await call('POST', `${base}/v1/tenants`, { token, headers: { 'Idempotency-Key': 'k' },
		body: { externalId, name: 'Many', plan: 'growth' } });
	same([made.status, made.data.status, made.headers.location], [202, 'running', '/v1/operations/op_1'], 'provisioning that takes a while');
	const poll = () => call('GET', base + made.headers.location, { token });
	same((await poll()).data.status, 'running', 'is polled');
	const end = (await poll()).data;
	same([end.status, end.tenantId?.startsWith('tnt_')], ['succeeded', true], 'until it is done');
	same((await call('GET', `${base}/v1/tenants/${end.tenantId}`, { token })).data.status, 'active', 'and the tenant active');
}

export async function faults(box) {
	const send = () => call('GET', `${box.at.provision}/v1/tenants`, { token: tokens.provision }).then(reply => reply.status, error => error.code ?? error.message);
	const add = rule => control(box, 'faults', 'POST', { system: 'provision', ...rule });
	const run = async count => { const list = []; for (let i = 0; i < count; i++) list.push(await send()); return list; };
	const clear = () => control(box, 'faults', 'DELETE');
	await add({ kind: 500, rate: 0.5, seed: 7 });
	const first = await run(30);
	await clear();
	await add({ kind: 500, rate: 0.5, seed: 7 });
	same(await run(30), first, 'the same seed spoils the same requests');
	const spoiled = first.filter(status => status === 500).length;
	ok(spoiled > 5 && spoiled < 25, 'about as many as the rate says', first);
	await clear();
	await add({ kind: 503, count: 2 });
	same(await run(4), [503, 503, 200, 200], 'the next two');
	await add({ kind: 401, path: '/v1/elsewhere' });
	same(await run(1), [200], 'only the path named');
	await clear();
	await add({ kind: 'lost', count: 1 });
	same(await run(2), ['ECONNRESET', 200], 'lost: closed without a reply');
	await add({ kind: 'half', count: 1 });
	same(await run(2), ['aborted', 200], 'half: closed within the reply');
	await add({ kind: 'garbage', count: 1 });
	same(await run(1), [200], 'garbage: a page where JSON was expected');
	await add({ kind: 'slow', count: 1, delay_ms: 200 });
	const before = process.hrtime.bigint();
	await send();
	ok(process.hrtime.bigint() - before >= 190000000n, 'slow: not before the time asked for');
	const key = { 'Idempotency-Key': 'lost-1' }, body = { externalId: 'LOST-1', name: 'x', plan: 'y' };
	await add({ kind: 'timeout', count: 1, delay_ms: 100 });
	await call('POST', `${box.at.provision}/v1/tenants`, { token: tokens.provision, headers: key, body }).catch(() => null);
	same((await control(box, 'tenants')).filter(tenant => tenant.externalId === 'LOST-1').length, 0, 'timeout: nothing was done');
	await add({ kind: 'lost', count: 1 });
	await call('POST', `${box.at.provision}/v1/tenants`, { token: tokens.provision, headers: key, body }).catch(() => null);
	same((await control(box, 'tenants')).filter(tenant => tenant.externalId === 'LOST-1').length, 1, 'lost: it was done');
	same((await control(box, 'requests?system=provision')).slice(-2).map(entry => [entry.fault, entry.status]),
		[['timeout', 0], ['lost', 0]], 'the log shows both');
	for (const rule of [{ kind: 'nonsense' }, { kind: 500, rate: 2 }, { system: 'nonsense', kind: 500 }])
		ok((await add(rule)).error, `refused: ${JSON.stringify(rule)}`);
	await clear();
}

export async function inspection(box) {
	await control(box, 'requests', 'DELETE');
	await call('POST', `${box.at.salesforce}/services/oauth2/token`, { headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
		body: 'grant_type=client_credentials&client_id=sandbox-salesforce-client&client_secret=sandbox-salesforce-secret' });
	await soql(box, "SELECT Id FROM Account WHERE AccountNumber = 'ACME-001'");
	await call('POST', `${box.at.slack}/api/chat.postMessage`, { token: 'xoxb-wrong', body: { channel: '#general', text: 'GAMMA-003' } });
	const all = await control(box, 'requests');
	same(all.map(entry => [entry.system, entry.method, entry.status, entry.account]), [['salesforce', 'POST', 200, null],
		['salesforce', 'GET', 200, 'ACME-001'], ['slack', 'POST', 200, 'GAMMA-003']], 'requests are kept in order');
	same(all[1].query.q, "SELECT Id FROM Account WHERE AccountNumber = 'ACME-001'", 'with their query');
	same([all[1].headers.Authorization, all[2].headers.Authorization], ['Bearer accepted', 'Bearer refused'], 'credentials are judged, not shown');
	ok(!/sandbox-salesforce-secret|xoxb-wrong|gER!/.test(JSON.stringify(all)), 'no secret is in the log');
	same((await control(box, 'requests?system=slack')).length, 1, 'by system');
	same((await control(box, 'requests?account=ACME-001')).length, 1, 'by account');
	same((await call('GET', `${box.at.slack}/_sandbox/requests`)).data.length, 1, "a system's own listener shows its own");
	same((await call('GET', `${box.at.slack}/_sandbox/tenants`)).status, 404, 'and no more');
	same((await call('GET', `${box.at.control}/_sandbox/requests?system=nonsense`)).status, 400, 'an unknown system');
	await control(box, 'requests?system=slack', 'DELETE');
	same((await control(box, 'requests')).length, 2, 'cleared for one system');
}

/* What no client sends on purpose: the sandbox answers or closes, and lives. */
export async function garbage(box) {
	const bytes = [
		'\r\n\r\n', 'GET\r\n\r\n', 'GET / HTTP/9.9\r\n\r\n', '\x00\x01\x02\xff'.repeat(100),
		'GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n', 'GET /%zz?a=%1 HTTP/1.1\r\nHost: x\r\n\r\n',
		`GET /${'a'.repeat(20000)} HTTP/1.1\r\nHost: x\r\n\r\n`, `GET / HTTP/1.1\r\nHost: x\r\nX: ${'b'.repeat(200000)}\r\n\r\n`,
		'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\nabc', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc',
		'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n', '@{@{@{', '{"a":'.repeat(2000),
	];
	for (const [, url] of Object.entries(box.at).filter(([name]) => !name.endsWith("-tls")))
		for (const text of bytes)
			await raw(url.replace('smtp:', 'http:'), text, { timeMs: 300 });
	const deep = '['.repeat(5000), wide = JSON.stringify({ compositeRequest: Array(30).fill({ url: '@{x' }) });
	const odd = [deep, wide, 'null', '"x"', '{"q":"' + '('.repeat(5000) + '"}', '{"q":"SELECT ' + 'a,'.repeat(5000) + '"}',
		'{"q":"SELECT id FROM transaction WHERE ' + 'NOT '.repeat(5000) + 'id=1"}', '{"messages":[{"role":"user","content":[{}]}],"model":"gpt-4o"}',
		JSON.stringify({ model: 'gpt-4o', messages: [{ role: 'user', content: 'x' }], response_format: { type: 'json_schema', json_schema: {
			name: 'x', schema: { type: 'array', minItems: 1000, items: { type: 'array', minItems: 1000, items: { type: 'array', minItems: 1000 } } } } } })];
	const paths = { salesforce: ['/services/data/v60.0/composite', '/services/data/v60.0/composite/batch', '/services/data/v60.0/sobjects/Account',
		'/services/data/v60.0/composite/sobjects'], netsuite: ['/services/rest/query/v1/suiteql'], llm: ['/chat/completions'],
		slack: ['/api/chat.postMessage'], provision: ['/v1/tenants'], clm: ['/oauth/token'] };
	for (const [system, list] of Object.entries(paths))
		for (const at of list)
			for (const body of odd) {
				const reply = await call('POST', box.at[system] + at, { token: tokens[system], body,
					headers: { 'Content-Type': 'application/json', Prefer: 'transient', 'Idempotency-Key': 'g' } });
				if (reply.status >= 500)
					ok(false, `${system} ${at} answers ${reply.status}`, body.slice(0, 100));
			}
	const big = await call('POST', `${box.at.provision}/v1/tenants`, { token: tokens.provision, body: 'x'.repeat(5 << 20),
		headers: { 'Content-Type': 'application/json' } }).catch(error => ({ status: error.code }));
	ok([413, 'ECONNRESET', 'EPIPE'].includes(big.status), 'a body of 5 MiB is refused', big.status);
	for (const text of ['=', "SELECT", 'SELECT Id FROM Account WHERE', "SELECT Id FROM Account WHERE Name = '\\u00", 'SELECT a.b.c.d.e.f.g.h FROM Account',
		'SELECT Owner.Manager.Manager.Manager.Manager.Manager.Id FROM Account', 'SELECT Id FROM Account LIMIT -1', 'SELECT COUNT() FROM Account'])
		await soql(box, text);
	same((await control(box, 'health')).status, 'ok', 'the sandbox lives');
}

export async function commandLine() {
	const { dir, remove } = scenarios();
	const box = await start('--scenarios', dir, '--fault', 'provision=503:1', '--seed', '3');
	same(box.lines.map(line => line.split(' ')[0]), ['salesforce', 'netsuite', 'clm', 'slack', 'llm', 'provision', 'smtp', 'control', 'ready'],
		'endpoints in their order');
	same((await call('GET', `${box.at.provision}/v1/tenants`, { token: tokens.provision })).status, 503, '--fault');
	const port = new URL(box.at.salesforce).port;
	const taken = await start('--scenarios', dir, '--port', port).then(other => other.stop(), error => error.message);
	ok(/cannot be listened on/.test(taken), 'a port that is taken is said', taken);
	await control(box, 'faults', 'POST', { system: 'clm', kind: 'timeout' });
	const open = call('GET', `${box.at.clm}/oauth/userinfo`, { token: tokens.clm }).catch(() => 'closed');
	while ((await control(box, 'requests?system=clm')).length === 0)
		;
	const end = await box.stop();
	same([end.code, await open], [0, 'closed'], 'SIGTERM ends it, open requests too');
	for (const [options, what] of [[['--port', 'x'], 'a port is'], [['--fault', 'x=y:z'], 'SYSTEM=KIND:RATE'], [['--nonsense'], 'unrecognized'],
		[['--scenarios', '/nonexistent'], 'No such file']]) {
		const said = await start(...options).then(other => other.stop(), error => error.message);
		ok(String(said).includes(what), `${options.join(' ')} is refused`, said);
	}
	writeFileSync(path.join(dir, 'BAD.json'), '{');
	const bad = await start('--scenarios', dir).then(other => other.stop(), error => error.message);
	ok(/BAD\.json/.test(bad), 'a broken scenario is named at the start', bad);
	remove();
}
