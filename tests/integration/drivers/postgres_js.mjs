// postgres.js (postgres) against the server in the PG* variables: pipelines everything it can.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import postgres from 'postgres';
import { check, linksChange, main, mode } from './tap.mjs';

const ssl = process.env.PGSSLMODE === 'disable'
  ? false : { ca: fs.readFileSync(process.env.PGSSLROOTCERT), servername: 'localhost' };
delete process.env.PGSSLMODE;

async function connected(options, use) {
  const sql = postgres({ ssl, connect_timeout: 20, max: 1, onnotice: () => {}, ...options });
  try {
    return await use(sql);
  } finally {
    await sql.end({ timeout: 10 });
  }
}

check('values', () => connected({}, async (sql) => {
  const [row] = await sql`select ${1}::int as a, ${'ünï €'}::text as b,
    ${Buffer.from([0, 255])}::bytea as c, ${true}::bool as d, ${null}::text as e,
    ${[1, 2]}::int[] as f, ${sql.json({ a: 1 })}::jsonb as g, ${1.5}::float8 as h`;
  assert.deepEqual({ ...row }, {
    a: 1, b: 'ünï €', c: Buffer.from([0, 255]), d: true, e: null, f: [1, 2], g: { a: 1 }, h: 1.5 });
}));

check('prepared across transactions', async () => {
  const pids = new Set();
  await Promise.all(Array.from({ length: 8 }, (_, number) => connected({}, async (sql) => {
    for (let turn = 0; turn < 25; turn++) {
      await sql.begin(async (tx) => {
        const [row] = await tx`select ${turn}::int * ${number}::int as n, pg_backend_pid() as pid`;
        pids.add(row.pid);
        assert.equal(row.n, turn * number);
      });
      const [row] = await sql`select ${'client ' + number}::text as t, ${turn}::int as n`;
      assert.deepEqual({ ...row }, { t: 'client ' + number, n: turn });
    }
  })));
  assert.ok(!linksChange || pids.size > 1, 'every transaction ran on the same connection');
});

check('pipelined', () => connected({ max_pipeline: 50 }, async (sql) => {
  for (let turn = 0; turn < 5; turn++) {
    const rows = await Promise.all(
      Array.from({ length: 60 }, (_, n) => sql`select ${n}::int as n, ${turn}::int as turn`));
    rows.forEach(([row], n) => assert.deepEqual({ ...row }, { n, turn }));
  }
}));

check('pipelined with errors between', () => connected({ max_pipeline: 50 }, async (sql) => {
  const results = await Promise.allSettled(
    Array.from({ length: 40 }, (_, n) => sql`select 10 / (${n}::int % 4) as n`));
  results.forEach((result, n) => {
    if (n % 4 === 0) assert.equal(result.reason?.code, '22012');
    else assert.equal(result.value?.[0].n, Math.trunc(10 / (n % 4)));
  });
}));

check('many shapes', () => connected({}, async (sql) => {
  for (let turn = 0; turn < 3; turn++) {
    for (let n = 0; n < 30; n++) {
      const [row] = await sql.unsafe(`select ${n} + $1::int as n`, [turn], { prepare: true });
      assert.equal(row.n, n + turn);
    }
  }
}));

check('without prepared statements', () => connected({ prepare: false }, async (sql) => {
  for (let turn = 0; turn < 50; turn++) {
    const [row] = await sql`select ${turn}::int as n`;
    assert.equal(row.n, turn);
  }
}));

check('cursor', () => connected({}, async (sql) => {
  let expected = 1;
  await sql.begin(async (tx) => {
    await tx`select n from generate_series(1, 1000) n`.cursor(90, (rows) => {
      for (const row of rows) assert.equal(row.n, expected++);
    });
  });
  assert.equal(expected, 1001);
  let seen = 0;
  for await (const rows of sql`select n from generate_series(1, 100000) n`.cursor(10)) {
    seen += rows.length;
    if (seen >= 30) break;
  }
  assert.equal(seen, 30);
  const [row] = await sql`select 1 as n`;
  assert.equal(row.n, 1);
}));

check('for each row', () => connected({}, async (sql) => {
  let sum = 0;
  await sql`select n from generate_series(1, 1000) n`.forEach((row) => { sum += row.n; });
  assert.equal(sum, 500500);
}));

check('copy both ways', () => connected({}, async (sql) => {
  const lines = Array.from({ length: 20000 }, (_, n) => `${n}\trow ${n}\n`);
  await sql.begin(async (tx) => {
    await tx`create temp table copied (n int, t text) on commit drop`;
    const into = await tx`copy copied from stdin`.writable();
    await pipeline(Readable.from([lines.slice(0, 7).join(''), lines.slice(7).join('')]), into);
    const [{ count }] = await tx`select count(*)::int from copied`;
    assert.equal(count, 20000);
    // Under 16 KiB: past that, the driver may pause its socket and never resume it.
    const from = await tx`copy (select * from copied where n < 500 order by n) to stdout`.readable();
    let out = '';
    for await (const chunk of from) out += chunk;
    assert.equal(out, lines.slice(0, 500).join(''));
  });
}));

check('simple protocol, several statements', () => connected({}, async (sql) => {
  const results = await sql`select 1 as a; select 2 as b, 3 as c`.simple();
  assert.deepEqual(results.map((r) => ({ ...r[0] })), [{ a: '1' }, { b: '2', c: '3' }]
    .map((o) => Object.fromEntries(Object.entries(o).map(([k, v]) => [k, Number(v)]))));
}));

check('errors and recovery', () => connected({}, async (sql) => {
  for (const [text, code] of [['select 1/0', '22012'], ['selec', '42601'],
    ['select * from missing_table', '42P01']]) {
    await assert.rejects(sql.unsafe(text), { code });
    await assert.rejects(sql.begin((tx) => tx.unsafe(text)), { code });
  }
  await assert.rejects(sql`select ${'x'}::int`.values(), { code: '22P02' });
  const [row] = await sql`select 1 as n`;
  assert.equal(row.n, 1);
}));

check('savepoints', () => connected({}, async (sql) => {
  const rows = await sql.begin(async (tx) => {
    await tx`create temp table nested (n int) on commit drop`;
    await tx.savepoint(async (inner) => {
      await inner`insert into nested values (1)`;
      throw new Error('back');
    }).catch(() => {});
    await tx.savepoint((inner) => inner`insert into nested values (2)`);
    return tx`select n from nested`;
  });
  assert.deepEqual(rows.map((r) => r.n), [2]);
}));

check('cancel', () => connected({}, async (sql) => {
  await sql`select 1`;  // what is cancelled before there is a connection is never answered
  for (let turn = 0; turn < 3; turn++) {
    const query = sql`select pg_sleep(30)`;
    const sleeping = assert.rejects(query.execute(), { code: '57014' });
    await new Promise((resolve) => setTimeout(resolve, 200));
    query.cancel();
    await sleeping;
    const [row] = await sql`select ${turn}::int as n`;
    assert.equal(row.n, turn);
  }
}));

check('notices', async () => {
  const seen = [];
  await connected({ onnotice: (notice) => seen.push(notice.message) }, (sql) =>
    sql`do $$ begin raise notice 'one'; raise warning 'two'; end $$`);
  assert.deepEqual(seen, ['one', 'two']);
});

check('notifications to itself', async () => {
  if (mode === 'transaction') return;       // LISTEN belongs to the server connection there
  await connected({}, async (sql) => {
    let rung;
    const come = new Promise((resolve) => { rung = resolve; });
    const { unlisten } = await sql.listen('bell', rung);
    await sql.notify('bell', 'rung');
    assert.equal(await come, 'rung');
    await unlisten();
  });
});

check('client-side pool', () => connected({ max: 5 }, async (sql) => {
  const rows = await Promise.all(
    Array.from({ length: 200 }, (_, n) => sql`select ${n}::int + 1 as n`));
  rows.forEach(([row], n) => assert.equal(row.n, n + 1));
}));

check('large values', () => connected({}, async (sql) => {
  const text = 'é'.repeat(3000000);
  const [row] = await sql`select ${text}::text as t`;
  assert.equal(row.t, text);
}));

await main();
