// Node's worker threads, shared memory and Atomics, timers, crypto on the thread pool, streams, and fs promises.
import { Worker, isMainThread, parentPort, workerData, MessageChannel } from "node:worker_threads";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { pipeline } from "node:stream/promises";
import crypto from "node:crypto";
import events from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import timers from "node:timers/promises";
import zlib from "node:zlib";

function workers() {
	const shared = new SharedArrayBuffer(8);
	const counts = new Int32Array(shared);
	const one = (id) =>
		new Promise((resolve, reject) => {
			const worker = new Worker(fileURLToPath(import.meta.url), { workerData: { id, shared } });
			let answer;
			worker.on("message", (message) => (answer = message));
			worker.on("error", reject);
			worker.on("exit", (code) => resolve([answer, code]));
		});
	return Promise.all([1, 2, 3, 4].map(one)).then((answers) => [answers, [...counts]]);
}

function work({ id, shared }) {
	const counts = new Int32Array(shared);
	for (let i = 0; i < 1000; i++) Atomics.add(counts, 0, 1);
	// The last to arrive wakes the others.
	if (Atomics.add(counts, 1, 1) === 3) Atomics.notify(counts, 1);
	else for (let seen; (seen = Atomics.load(counts, 1)) < 4; ) Atomics.wait(counts, 1, seen, 10000);
	const fibonacci = (n) => (n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2));
	parentPort.postMessage({ id, fibonacci: fibonacci(15 + id) });
	process.exit(id);
}

async function main() {
	console.log("workers", JSON.stringify(await workers()));

	const { port1, port2 } = new MessageChannel();
	port1.postMessage({ map: new Map([[1, new Date(0)]]), big: 2n ** 70n });
	const [message] = await events.once(port2, "message");
	console.log("message", message);
	port1.close();

	const order = [];
	const begin = process.hrtime.bigint();
	setTimeout(() => order.push("timeout"), 1);
	setImmediate(() => order.push("immediate"));
	process.nextTick(() => order.push("tick"));
	queueMicrotask(() => order.push("microtask"));
	await timers.setTimeout(30);
	console.log("timers", order.sort().join(), process.hrtime.bigint() - begin >= 29_000_000n);
	let ticks = 0;
	for await (const value of timers.setInterval(2, "tick")) if (++ticks === 10) break;
	console.log("interval", ticks);

	const scrypt = promisify(crypto.scrypt);
	const pbkdf2 = promisify(crypto.pbkdf2);
	const keys = await Promise.all([
		...[1, 2, 3, 4].map((n) => scrypt("secret", `salt ${n}`, 16, { N: 1024 })),
		...[1, 2, 3, 4].map((n) => pbkdf2("secret", `salt ${n}`, 500, 16, "sha512")),
	]);
	console.log("keys", keys.map((key) => key.toString("hex")).join(" "));
	console.log("hash", crypto.createHash("sha256").update("husk").digest("hex"));
	const cipher = crypto.createCipheriv("aes-256-gcm", Buffer.alloc(32, 1), Buffer.alloc(12, 2));
	console.log("cipher", cipher.update("text", "utf8", "hex") + cipher.final("hex"), cipher.getAuthTag().toString("hex"));
	const { privateKey, publicKey } = await promisify(crypto.generateKeyPair)("ec", { namedCurve: "P-256" });
	console.log("signature", crypto.verify("sha256", "data", publicKey, crypto.sign("sha256", "data", privateKey)));
	console.log("random", (await promisify(crypto.randomBytes)(1000)).length, crypto.randomUUID().length);

	const folder = await fs.promises.mkdtemp(path.join(os.tmpdir(), "node-"));
	const file = (name) => path.join(folder, name);
	await Promise.all(Array.from({ length: 50 }, (_, n) => fs.promises.writeFile(file(`f${n}`), "x".repeat(n))));
	const stats = await Promise.all((await fs.promises.readdir(folder)).map((name) => fs.promises.stat(file(name))));
	console.log("files", stats.length, stats.reduce((sum, stat) => sum + stat.size, 0));
	const handle = await fs.promises.open(file("f0"), "r+");
	await handle.write("some text", 10);
	await handle.datasync();
	console.log("handle", JSON.stringify(await handle.readFile("utf8")), (await handle.stat()).size);
	await handle.close();
	await pipeline(fs.createReadStream(process.execPath, { end: 1_000_000 }), zlib.createGzip({ level: 1 }), fs.createWriteStream(file("z")));
	const back = crypto.createHash("sha1");
	await pipeline(fs.createReadStream(file("z")), zlib.createGunzip(), back);
	console.log("streams", back.digest("hex"));
	await fs.promises.symlink("f1", file("link"));
	await fs.promises.rename(file("f2"), file("renamed"));
	console.log("names", await fs.promises.readlink(file("link")), fs.existsSync(file("f2")), fs.existsSync(file("renamed")));
	console.log("missing", await fs.promises.readFile(file("none")).catch((error) => error.code));
	await fs.promises.rm(folder, { recursive: true });
	console.log("gone", fs.existsSync(folder));

	const signal = events.once(process, "SIGUSR2");
	process.kill(process.pid, "SIGUSR2");
	console.log("signal", ...(await signal));
	process.exitCode = 7;
}

if (isMainThread) await main();
else work(workerData);
