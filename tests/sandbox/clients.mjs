// SPDX-License-Identifier: MIT
// More of what published clients do every day: jsforce beyond the first query, netsuite-rest,
// @slack/web-api, docusign-esign with its login over TLS, STARTTLS, and signatures that
// standardwebhooks knows.
import { createHmac, generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import https from 'node:https';
import { call, client, clmAccount, control, ok, raw, required, same, skip, start, tokens } from './lib.mjs';

/* --- Salesforce -------------------------------------------------------------- */

export async function jsforce(box) {
	const module = required('jsforce');
	if (!module)
		return skip('jsforce: records', 'not installed');
	const base = box.at.salesforce;
	const org = new module.Connection({ instanceUrl: base, accessToken: tokens.salesforce, version: '60.0' });
	const records = async soql => (await org.query(soql)).records;
	const [acme] = await records("SELECT Id FROM Account WHERE AccountNumber = 'ACME-001'");
	const stages = await records("SELECT StageName, COUNT(Id) n, SUM(Amount) FROM Opportunity WHERE Account.AccountNumber = 'ACME-001' GROUP BY StageName");
	same(stages.map(row => [row.StageName, row.n, row.expr0]), [['Closed Won', 1, 250000]], 'jsforce: groups');
	same((await records("SELECT COUNT(Id) n FROM Account WHERE Name = 'nobody'"))[0].n, 0, 'jsforce: none counted is a row with 0');
	const [parent] = await records("SELECT Id, (SELECT Name FROM Opportunities) FROM Account WHERE AccountNumber = 'ACME-001'");
	same(parent.Opportunities?.totalSize, 1, 'jsforce: children within their parent');
	same((await records('SELECT Id FROM Opportunity WHERE CloseDate > NEXT_N_DAYS:3650')).length, 0, 'jsforce: a date by its name');
	ok((await records('SELECT Id FROM Opportunity WHERE CloseDate = LAST_N_DAYS:3650')).length > 0, 'jsforce: days that have been');
	same((await records('SELECT Id FROM Opportunity WHERE CloseDate = LAST_DAYS:3').catch(error => error)).errorCode, 'MALFORMED_QUERY',
		'jsforce: a name that is none');
	ok('BillingCity' in (await records('SELECT FIELDS(STANDARD) FROM Account LIMIT 1'))[0], 'jsforce: FIELDS(STANDARD)');

	const accounts = org.sobject('Account');
	const made = await accounts.create([{ Name: 'A' }, { Name: 'B' }, {}]);
	same(made.map(one => one.success), [true, true, false], 'jsforce: three created, one refused');
	same((await accounts.retrieve(made.slice(0, 2).map(one => one.id))).map(one => one.Name), ['A', 'B'], 'jsforce: several read');
	same((await accounts.update(made.slice(0, 2).map(one => ({ Id: one.id, Phone: '1' })))).map(one => one.success), [true, true],
		'jsforce: several changed');
	const first = await accounts.upsert({ Ext__c: 'E-1', Name: 'By external id' }, 'Ext__c');
	const second = await accounts.upsert({ Ext__c: 'E-1', Name: 'Again' }, 'Ext__c');
	same([first.created, second.created, second.id], [true, false, first.id], 'jsforce: an upsert creates, then changes');
	same((await accounts.upsert([{ Ext__c: 'E-1', Name: 'x' }, { Ext__c: 'E-2', Name: 'y' }], 'Ext__c')).map(one => one.success), [true, true],
		'jsforce: several upserted');
	same((await accounts.destroy(made.slice(0, 2).map(one => one.id))).map(one => one.success), [true, true], 'jsforce: several deleted');
	const contact = await org.sobject('Contact').create({ LastName: 'Acme', AccountId: acme.Id });
	same((await records(`SELECT Account.Name FROM Contact WHERE Id = '${contact.id}'`))[0].Account.Name, 'ACME Ltd', 'jsforce: a contact and its account');
	ok((await org.sobject('Task').create({ Subject: 'Call', WhatId: acme.Id })).success, 'jsforce: a task');
	same((await accounts.find({ AccountNumber: 'ACME-001' }, 'Id').include('Opportunities').select('Id').end())[0].Opportunities.totalSize, 1,
		'jsforce: find with children');
	ok((await org.describeGlobal()).sobjects.some(one => one.name === 'Contact'), 'jsforce: describeGlobal');
	ok((await org.limits()).DailyApiRequests.Max > 0, 'jsforce: limits');
	same((await org.search('FIND {ACME} IN ALL FIELDS RETURNING Account(Id, Name)')).searchRecords[0]?.Name, 'ACME Ltd', 'jsforce: search');
	const span = [new Date(Date.now() - 864e5), new Date()];
	ok((await accounts.updated(...span)).ids.includes(first.id), 'jsforce: updated');
	ok((await accounts.deleted(...span)).deletedRecords.some(one => one.id === made[0].id), 'jsforce: deleted');
	const tree = await org.requestPost('/services/data/v60.0/composite/tree/Account', { records: [
		{ attributes: { type: 'Account', referenceId: 'one' }, Name: 'Tree' }] });
	same(tree.results[0].referenceId, 'one', 'jsforce: a tree');
	const both = await org.requestPost('/services/data/v60.0/composite/sobjects', { allOrNone: true, records: [
		{ attributes: { type: 'Account' }, Name: 'Alone' }, { attributes: { type: 'Account' } }] });
	same([both[0].success, both[0].errors[0].statusCode], [false, 'ALL_OR_NONE_OPERATION_ROLLED_BACK'], 'jsforce: all or none');
	same((await records("SELECT Id FROM Account WHERE Name = 'Alone'")).length, 0, 'jsforce: and none it was');
	const many = await accounts.create(Array.from({ length: 190 }, (_, i) => ({ Name: `Many ${i}` })));
	same(many.every(one => one.success), true, 'jsforce: many created');
	const more = await accounts.create(Array.from({ length: 190 }, (_, i) => ({ Name: `Many ${190 + i}` })));
	let page = await org.query("SELECT Id FROM Account WHERE Name LIKE 'Many %'", { headers: { 'Sforce-Query-Options': 'batchSize=200' } });
	const seen = page.records.length;
	page = page.done ? page : await org.queryMore(page.nextRecordsUrl);
	same([seen, page.done, seen + page.records.length], [200, true, many.length + more.length], 'jsforce: queryMore');
}

/* --- NetSuite ------------------------------------------------------------------ */

export async function netsuiteRest(box) {
	const Rest = required('netsuite-rest');
	if (!Rest)
		return skip('netsuite-rest', 'not installed');
	const rest = new Rest({ consumer_key: 'ACMECK', consumer_secret_key: 'acme cs+1', token: 'ACMETK', token_secret: 'acme/ts=2',
		realm: '1234567_SB1', base_url: box.at.netsuite });
	const ask = async (q, page = '?limit=1000') => (await rest.request({ path: `query/v1/suiteql${page}`, method: 'POST', body: JSON.stringify({ q }) })).data;
	const get = async path => (await rest.request({ path: `record/v1/${path}` })).data;
	const all = "SELECT id, tranid, status FROM transaction WHERE type = 'CustInvc' ORDER BY id";
	const first = await ask(all, '?limit=1&offset=0');
	same([first.count, first.hasMore, first.items.length], [1, true, 1], 'netsuite-rest: a page of SuiteQL, POST without Content-Type');
	ok(first.links.some(link => link.rel === 'next' && /offset=1/.test(link.href)), 'netsuite-rest: with a link to the next', first.links);
	const second = await ask(all, '?limit=1&offset=1');
	ok(second.items[0].id !== first.items[0].id, 'netsuite-rest: the next page');
	same(await ask("SELECT COUNT(*) AS n FROM transaction WHERE tranid = 'INV-1001'").then(data => data.items[0].n), '1', 'netsuite-rest: a count is a string');
	const invoice = await get(`invoice/${first.items[0].id}?fields=tranId,status`);
	same([invoice.tranId, typeof invoice.status.refName, invoice.total], ['INV-1001', 'string', undefined], 'netsuite-rest: a record, its fields chosen');
	same((await get(`invoice?q=${encodeURIComponent('tranId IS "INV-1001"')}`)).totalResults, 1, 'netsuite-rest: records found');
	ok((await get('customer?limit=2')).items.length === 2, 'netsuite-rest: customers');
	ok((await get('metadata-catalog/')).items.some(item => item.name === 'invoice'), 'netsuite-rest: the catalog');
	const json = { 'Content-Type': 'application/json' };
	const created = await rest.request({ path: 'record/v1/customer', method: 'POST', heads: json, body: JSON.stringify({ companyName: 'New' }) });
	same(created.data, null, 'netsuite-rest: a created record is an empty answer');
	const last = (await control(box, 'requests?system=netsuite')).pop();
	same(last.status, 204, 'netsuite-rest: 204');
	const failed = async path => JSON.parse((await rest.request({ path }).catch(error => error)).response.body)['o:errorDetails'][0]['o:errorCode'];
	same(await failed('record/v1/invoice/0'), 'NONEXISTENT_ID', 'netsuite-rest: no such record');
	same(await failed('record/v1/nonsense/1'), 'NONEXISTENT_ENDPOINT', 'netsuite-rest: no such type');
	const stranger = new Rest({ consumer_key: 'ACMECK', consumer_secret_key: 'wrong', token: 'ACMETK', token_secret: 'acme/ts=2',
		realm: '1234567_SB1', base_url: box.at.netsuite });
	same((await stranger.request({ path: 'record/v1/invoice/1215' }).catch(error => error)).response.statusCode, 401, 'netsuite-rest: a wrong secret');
}

/* --- Slack ----------------------------------------------------------------------- */

const buttons = [{ type: 'section', text: { type: 'mrkdwn', text: 'Approve *ACME-001*?' } }, { type: 'actions', block_id: 'gangway', elements: [
	{ type: 'button', action_id: 'approve', text: { type: 'plain_text', text: 'Approve' }, value: 'run-1:task-7' },
	{ type: 'button', action_id: 'reject', text: { type: 'plain_text', text: 'Reject' }, value: 'run-1:task-7' }] }];

export async function slackWeb(box) {
	const module = required('@slack/web-api');
	if (!module)
		return skip('@slack/web-api: more', 'not installed');
	const web = new module.WebClient(tokens.slack, { slackApiUrl: `${box.at.slack}/api/`, retryConfig: { retries: 0 }, logLevel: 'error' });
	const posted = await web.chat.postMessage({ channel: '#general', text: 'Approve?', blocks: buttons });
	const at = { channel: posted.channel, ts: posted.ts };
	same((await web.conversations.history({ channel: at.channel })).messages[0].ts, at.ts, '@slack/web-api: history');
	const reply = await web.chat.postMessage({ channel: at.channel, thread_ts: at.ts, text: 'in a thread' });
	same((await web.conversations.replies(at)).messages.map(message => message.ts), [at.ts, reply.ts], '@slack/web-api: replies');
	ok((await web.conversations.list()).channels.some(channel => channel.id === at.channel), '@slack/web-api: channels');
	same((await web.users.lookupByEmail({ email: 'ann@acme.example' })).user.name, 'ann', '@slack/web-api: a user by address');
	ok((await web.chat.getPermalink({ channel: at.channel, message_ts: at.ts })).permalink.startsWith('https://'), '@slack/web-api: a permalink');
	await web.reactions.add({ channel: at.channel, timestamp: at.ts, name: 'eyes' });
	same((await web.reactions.add({ channel: at.channel, timestamp: at.ts, name: 'eyes' }).catch(error => error)).data?.error, 'already_reacted',
		'@slack/web-api: a reaction once');
	const click = await control(box, 'click', 'POST', { ...at, action_id: 'reject' });
	const payload = JSON.parse(new URLSearchParams(click.body).get('payload'));
	same([payload.type, payload.actions[0].action_id, payload.actions[0].value, payload.message.ts], ['block_actions', 'reject', 'run-1:task-7', at.ts],
		'a click is the request that Slack would send');
	const stamp = click.headers['X-Slack-Request-Timestamp'];
	same(click.headers['X-Slack-Signature'], 'v0=' + createHmac('sha256', 'sandbox-slack-signing-secret').update(`v0:${stamp}:${click.body}`).digest('hex'),
		'signed');
	await web.chat.update({ ...at, text: 'Approved by ann', blocks: [] });
	same((await call('POST', `${box.at.control}/_sandbox/click`, { body: at })).status, 404, 'buttons that are replaced cannot be pressed');
	await web.chat.delete(at);
	same((await web.chat.update({ ...at, text: 'x' }).catch(error => error)).data?.error, 'message_not_found', '@slack/web-api: deleted');
}

/* --- DocuSign ---------------------------------------------------------------------- */

export async function docusign(box, caFile) {
	const module = required('docusign-esign');
	if (!module)
		return skip('docusign-esign', 'not installed');
	https.globalAgent.options.ca = readFileSync(caFile);
	const api = new module.ApiClient();
	api.setBasePath(`${box.at.clm}/restapi`);
	api.setOAuthBasePath(new URL(box.at['clm-tls']).host);
	const pem = Buffer.from(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs1', format: 'pem' }));
	const login = sub => api.requestJWTUserToken('1b000001-0000-4000-8000-0000000ac001', sub, ['signature', 'impersonation'], pem, 3600);
	const granted = await login('05000001-0000-4000-8000-0000000ac001');
	ok(granted.body.access_token && String(granted.body.expires_in) === '3600', 'docusign-esign: a JWT grant over TLS', granted.body);
	same((await login('nobody').catch(error => error)).response?.data?.error, 'user_not_found', 'docusign-esign: an unknown user');
	const info = await api.getUserInfo(granted.body.access_token);
	same([info.accounts[0].accountId, info.accounts[0].isDefault], [clmAccount, 'true'], 'docusign-esign: userinfo');
	api.addDefaultHeader('Authorization', `Bearer ${granted.body.access_token}`);
	const envelopes = new module.EnvelopesApi(api), id = '93be49ab-0000-4000-8000-0000000ac001';
	same((await envelopes.getEnvelope(clmAccount, id)).status, 'completed', 'docusign-esign: getEnvelope');
	same((await envelopes.listRecipients(clmAccount, id)).signers.length, 2, 'docusign-esign: listRecipients');
	ok((await envelopes.listCustomFields(clmAccount, id)).textCustomFields.length > 0, 'docusign-esign: listCustomFields');
	same((await envelopes.listStatusChanges(clmAccount, { envelopeIds: id })).envelopes[0].status, 'completed', 'docusign-esign: listStatusChanges');
	const definition = { emailSubject: 'ACME-001 order', status: 'sent',
		documents: [{ documentBase64: 'aGk=', name: 'a.txt', fileExtension: 'txt', documentId: '1' }],
		recipients: { signers: [{ email: 'ann@acme.example', name: 'Ann', recipientId: '1', routingOrder: '1' }] },
		customFields: { textCustomFields: [{ name: 'account_id', value: 'NEW-009' }] } };
	const made = await envelopes.createEnvelope(clmAccount, { envelopeDefinition: definition });
	same(made.status, 'sent', 'docusign-esign: createEnvelope');
	same((await envelopes.listRecipients(clmAccount, made.envelopeId)).signers[0].email, 'ann@acme.example', 'docusign-esign: its signer');
	const found = await envelopes.listStatusChanges(clmAccount, { fromDate: '2020-01-01', customField: 'account_id=NEW-009' });
	same(found.envelopes?.map(one => one.envelopeId), [made.envelopeId], 'docusign-esign: found by its field');
	ok((await envelopes.listDocuments(clmAccount, made.envelopeId)).envelopeDocuments.length === 2, 'docusign-esign: its documents');
	const code = async promise => (await promise.catch(error => error)).response?.data?.errorCode ?? (await promise.catch(error => error)).response?.body?.errorCode;
	same(await code(envelopes.createEnvelope(clmAccount, { envelopeDefinition: { ...definition, documents: [] } })), 'ENVELOPE_HAS_NO_DOCUMENTS',
		'docusign-esign: nothing to sign');
	same(await code(envelopes.getEnvelope(clmAccount, '00000000-0000-4000-8000-000000000000')), 'ENVELOPE_DOES_NOT_EXIST', 'docusign-esign: no envelope');
	await envelopes.update(clmAccount, made.envelopeId, { envelope: { status: 'voided', voidedReason: 'test' } });
	same((await envelopes.getEnvelope(clmAccount, made.envelopeId)).status, 'voided', 'docusign-esign: voided');
	const draft = await envelopes.createEnvelope(clmAccount, { envelopeDefinition: { emailSubject: 'x', status: 'created' } });
	await envelopes.update(clmAccount, draft.envelopeId, { envelope: { status: 'sent' } });
	same((await envelopes.getEnvelope(clmAccount, draft.envelopeId)).status, 'sent', 'docusign-esign: a draft that was sent');
}

export async function clmDocuments(box) {
	const base = `${box.at.clm}/v2/${clmAccount}`, token = tokens.clm, id = 'd0c00000-0000-4000-8000-0000000ac001';
	const search = body => call('POST', `${base}/documentsearchtasks?expand=AttributeGroups`, { token, body });
	const found = (await search({ AllWords: 'ACME-001' })).data;
	same([found.Status, found.Result?.Total, found.Result?.Items[0]?.Href.split('/').pop()], ['Success', 1, id], 'a search for documents is a task');
	const none = await search({});
	same([none.status, none.data.Error?.UserMessage], [422, 'No valid search parameters were found'], 'that wants words');
	const changed = await call('PATCH', `${base}/documents/${id}?expand=AttributeGroups`, { token,
		body: { AttributeGroups: { Contract: { Status: { AttributeType: 'String', RepeatingAttribute: false, Value: 'Archived' } } } } });
	same([changed.data.AttributeGroups?.Contract.Status.Value, changed.data.AttributeGroups?.Contract['Account Id']?.Value], ['Archived', 'ACME-001'],
		'PATCH leaves the other attributes');
	const flow = await call('POST', `${base}/workflows`, { token, body: { Name: 'Onboarding', Params: '<Params><Id>ACME-001</Id></Params>' } });
	const looks = [];
	for (let i = 0; i < 3; i++)
		looks.push((await call('GET', `${base}/workflows/${flow.data.Href.split('/').pop()}`, { token })).data.Status);
	same(looks, ['Execution Pending', 'Executing', 'Completed'], 'a workflow goes its way');
	same((await call('GET', `${base}/documents/nothing`, { token })).data.Error?.HttpStatusCode, 404, 'its errors have a shape of their own');
	const note = await control(box, 'connect', 'POST', { envelope_id: '93be49ab-0000-4000-8000-0000000ac001', event: 'envelope-completed' });
	same(note.headers['X-DocuSign-Signature-1'], createHmac('sha256', 'c2FuZGJveC1jb25uZWN0LWtleQ==').update(note.body).digest('base64'),
		'a Connect notification, signed with the text of its key');
}

/* --- mail over TLS ------------------------------------------------------------------- */

export async function smtpTls(workdir) {
	const ca = `${workdir}/smtp-ca.pem`, box = await start('--ca', ca, '--smtp-auth');
	const module = await client('nodemailer');
	const { port } = new URL(box.at.smtp), tlsPort = new URL(box.at['smtp-tls']).port;
	const plain = await raw(box.at.smtp.replace('smtp:', 'http:'), 'EHLO x\r\nMAIL FROM:<a@b.example>\r\nAUTH PLAIN AGEAYg==\r\nQUIT\r\n');
	ok(/250-STARTTLS/.test(plain) && !/AUTH PLAIN\r\n/.test(plain), 'SMTP: no login is offered in the clear', plain);
	ok(/^530 /m.test(plain) && /^538 /m.test(plain), 'SMTP: nor mail taken, nor a password', plain);
	if (module) {
		const send = options => module.default.createTransport({ host: '127.0.0.1', tls: { ca: readFileSync(ca) },
			auth: { user: 'sandbox-smtp-user', pass: 'sandbox-smtp-password' }, ...options })
			.sendMail({ from: 'a@b.example', to: 'c@d.example', subject: 'S', text: 'T' }).then(() => 'sent', error => error.code ?? error.message);
		same(await send({ port, secure: false, requireTLS: true }), 'sent', 'nodemailer: STARTTLS');
		same(await send({ port: tlsPort, secure: true }), 'sent', 'nodemailer: TLS from the first byte');
		same(await send({ port: tlsPort, secure: true, auth: { user: 'x', pass: 'y' } }), 'EAUTH', 'nodemailer: a wrong password');
		same(await send({ port: tlsPort, secure: true, tls: {} }), 'ESOCKET', 'nodemailer: an authority that is not trusted');
		same((await control(box, 'mail')).map(mail => mail.authenticated), [true, true], 'two mails were taken');
	} else {
		skip('nodemailer: TLS', 'not installed');
	}
	same((await box.stop()).code, 0, 'a sandbox with TLS ends cleanly');
}
