// node-postgres (pg, pg-cursor, pg-copy-streams) against the server in the PG* variables.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import pg from 'pg';
import Cursor from 'pg-cursor';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { check, linksChange, main, mode } from './tap.mjs';

const ssl = process.env.PGSSLMODE === 'disable'
  ? false : { ca: fs.readFileSync(process.env.PGSSLROOTCERT), host: 'localhost' };
const settings = { ssl, connectionTimeoutMillis: 20000 };
// pg reads these from the environment itself, and would override `ssl`.
delete process.env.PGSSLMODE;
delete process.env.PGSSLROOTCERT;

async function connected(use) {
  const client = new pg.Client(settings);
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

check('values', () => connected(async (client) => {
  const given = [1, 'ünï €', Buffer.from([0, 255]), true, null, [1, 2], { a: 1 }, 1.5];
  const casts = ['int', 'text', 'bytea', 'bool', 'text', 'int[]', 'jsonb', 'float8'];
  const sql = 'select ' + casts.map((c, i) => `$${i + 1}::${c} as c${i}`).join(', ');
  const { rows } = await client.query({ text: sql, values: given, rowMode: 'array' });
  assert.deepEqual(rows[0], given);
  const binary = await client.query({ text: 'select $1::int as n', values: [7], binary: true });
  assert.equal(binary.rows[0].n, 7);
}));

check('named statements across transactions', async () => {
  const pids = new Set();
  await Promise.all(Array.from({ length: 8 }, (_, number) => connected(async (client) => {
    for (let turn = 0; turn < 25; turn++) {
      await client.query('begin');
      const first = await client.query({
        name: 'product', text: `select $1::int * ${number} as n, pg_backend_pid() as pid`,
        values: [turn] });
      pids.add(first.rows[0].pid);
      assert.equal(first.rows[0].n, turn * number);
      await client.query('commit');
      const second = await client.query({
        name: 'label', text: `select 'client ${number} ' || $1::text as t`, values: [turn] });
      assert.equal(second.rows[0].t, `client ${number} ${turn}`);
    }
  })));
  assert.ok(!linksChange || pids.size > 1, 'every transaction ran on the same connection');
});

check('unnamed statements', async () => {
  await Promise.all(Array.from({ length: 6 }, (_, number) => connected(async (client) => {
    for (let turn = 0; turn < 40; turn++) {
      const { rows } = await client.query('select $1::int as a, $2::text as b', [turn, number]);
      assert.deepEqual(rows, [{ a: turn, b: String(number) }]);
    }
  })));
});

check('queued queries', () => connected(async (client) => {
  const results = await Promise.all(
    Array.from({ length: 50 }, (_, n) => client.query('select $1::int as n', [n])));
  assert.deepEqual(results.map((r) => r.rows[0].n), Array.from({ length: 50 }, (_, n) => n));
}));

check('cursor', () => connected(async (client) => {
  await client.query('begin');
  const cursor = client.query(new Cursor('select n from generate_series(1, $1::int) n', [1000]));
  let expected = 1;
  for (;;) {
    const rows = await cursor.read(90);
    if (rows.length === 0) break;
    for (const row of rows) assert.equal(row.n, expected++);
  }
  assert.equal(expected, 1001);
  await cursor.close();
  await client.query('commit');
}));

check('cursor without a transaction, closed early', () => connected(async (client) => {
  const cursor = client.query(new Cursor('select n from generate_series(1, 100000) n'));
  assert.equal((await cursor.read(10)).length, 10);
  assert.equal((await cursor.read(10))[0].n, 11);
  await cursor.close();
  assert.equal((await client.query('select 1 as n')).rows[0].n, 1);
}));

check('copy both ways', () => connected(async (client) => {
  await client.query('begin');
  await client.query('create temp table copied (n int, t text) on commit drop');
  const lines = Array.from({ length: 20000 }, (_, n) => `${n}\trow ${n}\n`);
  await pipeline(Readable.from(lines), client.query(copyFrom('copy copied from stdin')));
  let out = '';
  const stream = client.query(copyTo('copy (select * from copied order by n) to stdout'));
  for await (const chunk of stream) out += chunk;
  assert.equal(out, lines.join(''));
  await client.query('commit');
}));

check('errors and recovery', () => connected(async (client) => {
  for (const [sql, code] of [['select 1/0', '22012'], ['selec', '42601'],
    ['select * from missing_table', '42P01']]) {
    await client.query('begin');
    await assert.rejects(client.query(sql), { code, severity: 'ERROR' });
    await assert.rejects(client.query('select 1'), { code: '25P02' });
    await client.query('rollback');
    await assert.rejects(client.query(sql + ' -- $1', []), { code });
  }
  await assert.rejects(client.query({ name: 'bad', text: 'select $1::int', values: ['x'] }),
    { code: '22P02' });
  const again = await client.query({ name: 'bad', text: 'select $1::int as n', values: [3] })
    .catch((error) => error);
  assert.ok(again.rows?.[0].n === 3 || /Prepared statements must be unique/.test(again.message));
}));

check('cancel', async () => {
  for (let turn = 0; turn < 3; turn++) {
    await connected(async (client) => {
      const sleeping = assert.rejects(client.query('select pg_sleep(30)'), { code: '57014' });
      await new Promise((resolve) => setTimeout(resolve, 200));
      // The driver sends cancel requests without TLS, which servers accept.
      const other = new pg.Client({ ...settings, ssl: false });
      other.cancel(client, client._activeQuery ?? client.activeQuery);
      await sleeping;
      assert.equal((await client.query('select 1 as n')).rows[0].n, 1);
    });
  }
});

check('notices', () => connected(async (client) => {
  const seen = [];
  client.on('notice', (notice) => seen.push(notice.message));
  await client.query("do $$ begin raise notice 'one'; raise warning 'two'; end $$");
  assert.deepEqual(seen, ['one', 'two']);
}));

check('notifications to itself', async () => {
  if (mode === 'transaction') return;       // LISTEN belongs to the server connection there
  await connected(async (client) => {
    const come = new Promise((resolve) => client.once('notification', resolve));
    await client.query('listen bell');
    await client.query("notify bell, 'rung'");
    assert.equal((await come).payload, 'rung');
  });
});

check('client-side pool', async () => {
  const pool = new pg.Pool({ ...settings, max: 5 });
  const results = await Promise.all(
    Array.from({ length: 100 }, (_, n) => pool.query('select $1::int + 1 as n', [n])));
  results.forEach((result, n) => assert.equal(result.rows[0].n, n + 1));
  await pool.end();
});

check('large values', () => connected(async (client) => {
  const text = 'é'.repeat(3000000);
  const { rows } = await client.query('select $1::text as t', [text]);
  assert.equal(rows[0].t, text);
}));

await main();
