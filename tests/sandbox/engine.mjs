// SPDX-License-Identifier: MIT
// The engine itself before servers that nobody here wrote: smtp-server takes what `email` sends, over
// STARTTLS and with a login; standardwebhooks knows the signatures of a connection's `hmac`.
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { ok, required, same, skip } from './lib.mjs';

const programme = path.join(process.cwd(), 'gangway');
const { GANGWAY_CONFIG: _, ...base } = process.env;
const plugins = process.env.GANGWAY_PLUGIN_DIR ?? path.join(process.cwd(), 'plugins/.libs');

/* A folder with a configuration and one graph whose only state asks that action. */
function place(connections, type, action, params) {
	const dir = mkdtempSync(path.join(os.tmpdir(), 'gangway-engine-'));
	mkdirSync(path.join(dir, 'graphs/one'), { recursive: true });
	for (const name of ['rules', 'prompts', 'out'])
		mkdirSync(path.join(dir, name));
	writeFileSync(path.join(dir, 'gangway.lua'), `return { store = "gangway.db", artifacts = "out", graphs = "graphs",
		rules = "rules", prompts = "prompts", plugins = { "${plugins}" }, connections = { ${connections} } }`);
	const list = Object.entries(params).map(([name, value]) => `<param name="${name}" expr="${value}"/>`).join('');
	writeFileSync(path.join(dir, 'graphs/one/one.scxml'), `<scxml xmlns="http://www.w3.org/2005/07/scxml" version="1.0" datamodel="lua"
		name="one"><datamodel><data id="what"/></datamodel><state id="a"><invoke id="c" type="${type}" src="${action}">${list}</invoke>
		<transition event="done.invoke.c error.communication.c error.execution.c" target="b"><assign location="what" expr="_event.data"/></transition>
		</state><final id="b"><donedata><param name="what" expr="what"/></donedata></final></scxml>`);
	return { dir, remove: () => rmSync(dir, { recursive: true, force: true }) };
}

/* Runs it; what the action answered. */
function run({ dir }, env = {}) {
	return new Promise(resolve => {
		const child = spawn(programme, ['run', 'start', 'one', '--wait', '--json'], { cwd: dir, env: { ...base, ...env } });
		let out = '', err = '';
		child.stdout.on('data', chunk => out += chunk);
		child.stderr.on('data', chunk => err += chunk);
		child.on('error', error => resolve({ error: String(error) }));
		child.on('close', () => {
			try {
				const last = JSON.parse(out.trim().split('\n').pop());
				resolve((last.run ?? last).result?.what ?? { out: out.slice(-800), err });
			} catch {
				resolve({ out, err });
			}
		});
	});
}

/* --- mail ---------------------------------------------------------------------- */

function certificate(dir) {
	const key = path.join(dir, 'key.pem'), cert = path.join(dir, 'cert.pem');
	execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key, '-out', cert,
		'-days', '2', '-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'], { stdio: 'ignore' });
	return { key: readFileSync(key), cert: readFileSync(cert), file: cert };
}

export async function mail(workdir) {
	const module = required('smtp-server');
	let own;
	try {
		own = certificate(workdir);
	} catch {
		own = null;
	}
	if (!module || !own)
		return skip('smtp-server', module ? 'openssl is not installed' : 'not installed');
	const taken = [];
	const server = new module.SMTPServer({ key: own.key, cert: own.cert, authMethods: ['PLAIN', 'LOGIN'], logger: false,
		onAuth: (auth, session, done) => auth.username === 'user' && auth.password === 'pass word' ? done(null, { user: 'user' })
			: done(Object.assign(new Error('no'), { responseCode: 535 })),
		onRcptTo: (to, session, done) => done(to.address.startsWith('nobody@') ? Object.assign(new Error('no such box'), { responseCode: 550 }) : null),
		onData: (stream, session, done) => {
			let text = '';
			stream.on('data', chunk => text += chunk.toString('latin1'));
			stream.on('end', () => {
				taken.push({ text, secure: session.secure, user: session.user, to: session.envelope.rcptTo.map(one => one.address) });
				done();
			});
		} });
	server.on('error', () => {});
	await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
	const url = `smtp://127.0.0.1:${server.server.address().port}`;
	const connection = more => `email = { url = "${url}", from = "a@gangway.example", private = true, ca_file = "${own.file}", retries = 0,
		auth = { kind = "basic", user = "user", password = "env:MAIL_PASSWORD" }, ${more} }`;
	const params = { to: "{'ann@acme.example', 'nobody@acme.example'}", subject: "'Gr\u00fc\u00dfe'", text: "'line\\n.\\nend'", html: "'&lt;b>line&lt;/b>'" };
	const good = place(connection('starttls = "required"'), 'email', 'send', params);
	const sent = await run(good, { MAIL_PASSWORD: 'pass word' });
	same([sent.accepted, sent.by_all], [true, false], 'smtp-server: a refused recipient does not lose the other');
	const [message] = taken;
	same([message?.secure, message?.user, message?.to], [true, 'user', ['ann@acme.example']], 'smtp-server: over STARTTLS, logged in');
	const head = message?.text.split('\r\n\r\n')[0] ?? '';
	ok(/^Date: .+ \+0000$/m.test(head.replace(/\r/g, '')) && /^Message-ID: <.+@[a-z.]+>/m.test(head), 'smtp-server: Date and Message-ID', head);
	ok(/^Subject: =\?UTF-8\?/mi.test(head) && /multipart\/alternative/.test(head), 'smtp-server: words are encoded, two parts', head);
	ok(message && message.text.indexOf('text/plain') < message.text.indexOf('text/html'), 'smtp-server: the text first');
	ok(message && !/[^\r]\n/.test(message.text), 'smtp-server: every line ends in CRLF');
	const wrong = await run(good, { MAIL_PASSWORD: 'wrong' });
	same([wrong.error_code, taken.length], ['SMTP_535', 1], 'smtp-server: a wrong password is an authentication failure');
	good.remove();
	const stranger = place(connection('').replace(/ca_file = "[^"]*",/, ''), 'email', 'send', params);
	const untrusted = await run(stranger, { MAIL_PASSWORD: 'pass word' });
	same([untrusted.error_type, taken.length], ['network', 1], 'smtp-server: a certificate that is not trusted gets no mail and no password');
	stranger.remove();
	await new Promise(resolve => server.close(resolve));
}

/* --- signatures ------------------------------------------------------------------ */

export async function webhooks() {
	const module = required('standardwebhooks');
	if (!module)
		return skip('standardwebhooks', 'not installed');
	const seen = [];
	const server = http.createServer((request, reply) => {
		let body = '';
		request.on('data', chunk => body += chunk);
		request.on('end', () => {
			seen.push({ headers: request.headers, body });
			reply.writeHead(200, { 'Content-Type': 'application/json' }).end('{}');
		});
	});
	await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
	const raw = 'acme-webhook-secret-0123456789';
	const hook = place(`http = { url = "http://127.0.0.1:${server.address().port}", private = true, auth = { kind = "hmac", header = "webhook-signature",
		timestamp_header = "webhook-timestamp", signed = "msg_1.{timestamp}.{body}", prefix = "v1,", encoding = "base64", secret = "env:HOOK_SECRET" },
		headers = { ["webhook-id"] = "msg_1" } }`, 'http', 'post', { path: "'/hook'", body: "{type='contract.signed'}" });
	await run(hook, { HOOK_SECRET: raw });
	hook.remove();
	server.close();
	const verifier = new module.Webhook(`whsec_${Buffer.from(raw).toString('base64')}`);
	let verified;
	try {
		verified = verifier.verify(seen[0]?.body ?? '', seen[0]?.headers ?? {});
	} catch (error) {
		verified = String(error);
	}
	same(verified, { type: 'contract.signed' }, 'standardwebhooks: verifies what a connection signs');
	ok(seen[0] && (() => { try { verifier.verify(seen[0].body + ' ', seen[0].headers); } catch { return true; } return false; })(),
		'standardwebhooks: and not what was changed');
}
