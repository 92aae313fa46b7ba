// SPDX-License-Identifier: MIT
// node run.mjs WORKDIR SANDBOX: all tests, TAP on standard output.
import { clm, provision, slack, smtp } from './others.mjs';
import { commandLine, copies, faults, garbage, inspection } from './behaviour.mjs';
import { clmDocuments, docusign, jsforce, netsuiteRest, slackWeb, smtpTls } from './clients.mjs';
import { done, ok, start } from './lib.mjs';
import llm from './llm.mjs';
import { mail, webhooks } from './engine.mjs';
import netsuite from './netsuite.mjs';
import { anthropic, bedrock, responses } from './providers.mjs';
import salesforce from './salesforce.mjs';

async function run(name, test, box) {
	console.log(`# ${name}`);
	try {
		await test(box);
	} catch (error) {
		ok(false, `${name} throws nothing`, String(error.stack ?? error));
	}
}

const workdir = process.argv[2], ca = `${workdir}/ca.pem`;
const box = await start('--ca', ca);
const tests = { salesforce, netsuite, clm, slack, llm, responses, anthropic, bedrock, provision, smtp, jsforce, netsuiteRest, slackWeb,
	clmDocuments, docusign: box => docusign(box, ca), faults, inspection, garbage };
for (const [name, test] of Object.entries(tests))
	await run(name, test, box);
const end = await box.stop();
ok(end.code === 0 && end.err === '', 'the sandbox ends cleanly and says nothing', end);
await run('mail over TLS', () => smtpTls(workdir));
await run('the engine and smtp-server', () => mail(workdir));
await run('the engine and standardwebhooks', webhooks);
await run('copies', copies);
await run('command line', commandLine);
done();
