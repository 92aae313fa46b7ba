// SPDX-License-Identifier: MIT
// What the tests share: TAP, a running sandbox, HTTP and SMTP by hand.
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const here = path.dirname(fileURLToPath(import.meta.url));
export const source = path.resolve(here, '../..');
const [workdir, executable] = process.argv.slice(2);

/* --- TAP ------------------------------------------------------------------- */

let count = 0, failed = 0;

export function ok(condition, name, detail) {
	count++;
	if (condition) {
		console.log(`ok ${count} - ${name}`);
		return true;
	}
	failed++;
	console.log(`not ok ${count} - ${name}`);
	if (detail !== undefined)
		console.log(`# ${JSON.stringify(detail)?.slice(0, 2000)}`);
	return false;
}

export function same(got, want, name) {
	return ok(JSON.stringify(got) === JSON.stringify(want), name, { got, want });
}

export function skip(name, why) {
	console.log(`ok ${++count} - ${name} # SKIP ${why}`);
}

export function done() {
	console.log(`1..${count}`);
	if (failed)
		console.log(`# ${failed} of ${count} failed`);
	process.exitCode = failed ? 1 : 0;
}

/* A package from the work folder, or null where it is not installed. */
export async function client(name) {
	try {
		const require = createRequire(path.join(workdir, 'package.json'));
		return await import(require.resolve(name));
	} catch {
		return null;
	}
}

/* The same as a CommonJS module, for packages whose ES modules do not load by themselves. */
export function required(name) {
	try {
		return createRequire(path.join(workdir, 'package.json'))(name);
	} catch {
		return null;
	}
}

/* --- the sandbox ----------------------------------------------------------- */

/* A copy of the shipped scenarios that a test may change. */
export function scenarios() {
	const dir = mkdtempSync(path.join(os.tmpdir(), 'gangway-scenarios-'));
	cpSync(path.join(source, 'sandbox/scenarios'), dir, { recursive: true });
	return { dir, remove: () => rmSync(dir, { recursive: true, force: true }) };
}

export function start(...options) {
	if (!options.includes('--scenarios'))
		options.push('--scenarios', path.join(source, 'sandbox/scenarios'));
	const child = spawn(executable, ['--die-with-parent', ...options],
		{ stdio: ['ignore', 'pipe', 'pipe'] });
	let out = '', err = '';
	child.stderr.on('data', chunk => err += chunk);
	const ended = new Promise(resolve => child.on('exit', (code, signal) => resolve({ code, signal, err })));
	return new Promise((resolve, reject) => {
		ended.then(end => reject(new Error(`ended with ${end.code ?? end.signal}: ${err}`)));
		child.stdout.on('data', chunk => {
			out += chunk;
			if (!out.endsWith('ready\n'))
				return;
			const at = Object.fromEntries(out.trim().split('\n').slice(0, -1).map(line => line.split(' ')));
			resolve({ at, child, ended, lines: out.trim().split('\n'),
				stop: () => { child.kill('SIGTERM'); return ended; } });
		});
	});
}

/* --- HTTP ------------------------------------------------------------------ */

export const tokens = {
	salesforce: '00Dxx0000001gER!sandbox-salesforce-token',
	netsuite: 'sandbox-netsuite-token',
	clm: 'sandbox-clm-token',
	slack: 'xoxb-sandbox-slack-token',
	llm: 'sk-sandbox-llm-key',
	provision: 'sandbox-provision-token',
};
export const clmAccount = 'ac000001-0000-4000-8000-0000000ac001';

export function call(method, url, { token, headers = {}, body } = {}) {
	const json = body !== undefined && typeof body !== 'string';
	const all = { ...headers };
	if (token)
		all.Authorization = `Bearer ${token}`;
	if (json && all['Content-Type'] === undefined)
		all['Content-Type'] = 'application/json';
	return new Promise((resolve, reject) => {
		const request = http.request(url, { method, headers: all, agent: false }, reply => {
			const chunks = [];
			reply.on('data', chunk => chunks.push(chunk));
			reply.on('error', reject);
			reply.on('aborted', () => reject(new Error('aborted')));
			reply.on('end', () => {
				const text = Buffer.concat(chunks).toString();
				let data = text;
				try { data = JSON.parse(text); } catch { /* stays text */ }
				resolve({ status: reply.statusCode, headers: reply.headers, data });
			});
		});
		request.on('error', reject);
		request.end(json ? JSON.stringify(body) : body);
	});
}

export const form = fields => ({ headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
	body: new URLSearchParams(fields).toString() });

export async function control(box, path, method = 'GET', body) {
	return (await call(method, `${box.at.control}/_sandbox/${path}`, { body })).data;
}

/* --- raw bytes ------------------------------------------------------------- */

/* Sends the bytes and gives back what came until the peer closed or time_ms passed. */
export function raw(url, bytes, { halfClose = true, timeMs = 5000 } = {}) {
	const { hostname, port } = new URL(url);
	return new Promise(resolve => {
		const socket = net.connect(Number(port), hostname);
		const chunks = [];
		const end = () => { socket.destroy(); resolve(Buffer.concat(chunks).toString('latin1')); };
		socket.setTimeout(timeMs, end);
		socket.on('data', chunk => chunks.push(chunk));
		socket.on('error', end);
		socket.on('close', end);
		socket.on('connect', () => halfClose ? socket.end(bytes) : socket.write(bytes));
	});
}
