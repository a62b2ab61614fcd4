<?php
// PDO and the pgsql functions (php-pgsql) against the server in libpq's environment variables.
declare(strict_types=1);

$linksChange = getenv('LAB_LINKS_CHANGE') === '1';
$checks = [];

function check(string $name, callable $run): void
{
    global $checks;
    $checks[] = [$name, $run];
}

function same(mixed $expected, mixed $got): void
{
    if ($expected !== $got) {
        $line = debug_backtrace()[0]['line'];
        throw new Exception("line $line: got " . substr(json_encode($got) ?: '?', 0, 300)
            . ', expected ' . substr(json_encode($expected) ?: '?', 0, 300));
    }
}

/** @param array<int, mixed> $more */
function connected(array $more = []): PDO
{
    $words = ['host' => 'PGHOST', 'port' => 'PGPORT', 'dbname' => 'PGDATABASE'];
    $parts = array_map(fn ($k, $v) => "$k=" . getenv($v), array_keys($words), $words);
    return new PDO('pgsql:' . implode(';', $parts), getenv('PGUSER'), getenv('PGPASSWORD'),
        $more + [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
}

/** The SQLSTATE with which something fails. */
function stateOf(callable $run): string
{
    try {
        $run();
    } catch (PDOException $e) {
        return (string) $e->getCode();
    }
    return 'no error';
}

check('values', function () {
    foreach ([false, true] as $emulated) {
        $db = connected([PDO::ATTR_EMULATE_PREPARES => $emulated]);
        $sth = $db->prepare('select ?::int, ?::text, ?::bool, ?::float8, ?::text, ?::bytea');
        for ($n = 0; $n < 5; $n++) {
            $data = "\x00\xff'\\";
            $sth->bindValue(1, $n, PDO::PARAM_INT);
            $sth->bindValue(2, 'ünï €');
            $sth->bindValue(3, true, PDO::PARAM_BOOL);
            $sth->bindValue(4, '1.5');
            $sth->bindValue(5, null, PDO::PARAM_NULL);
            $sth->bindValue(6, $data, PDO::PARAM_LOB);
            $sth->execute();
            $row = $sth->fetch(PDO::FETCH_NUM);
            same($data, stream_get_contents(array_pop($row)));
            same([$n, 'ünï €', true, '1.5', null], $row);
        }
    }
});

// PDO calls its statements pdo_stmt_00000001 and so on in every connection.
check('prepared across transactions', function () use ($linksChange) {
    $pids = [];
    $clients = [];
    for ($n = 0; $n < 8; $n++) {
        $db = connected();
        $clients[] = [$db, $db->prepare("select pg_backend_pid(), ?::int * $n"),
            $db->prepare("select 'client $n ' || ?::text")];
    }
    // While one's transaction is open, the next one needs another server connection.
    $open = null;
    for ($turn = 0; $turn < 25; $turn++) {
        foreach ($clients as $n => [$db, $product]) {
            $db->beginTransaction();
            $product->execute([$turn]);
            [$pid, $value] = $product->fetch(PDO::FETCH_NUM);
            $pids[$pid] = true;
            same($turn * $n, $value);
            if ($open !== null) {
                [$last, , $label] = $clients[$open];
                $last->commit();
                $label->execute([$turn]);
                same("client $open $turn", $label->fetchColumn());
            }
            $open = $n;
        }
    }
    $clients[$open][0]->commit();
    if ($linksChange && count($pids) < 2) {
        throw new Exception('every transaction ran on the same connection');
    }
});

check('statements come and go', function () {
    $db = connected();
    for ($n = 0; $n < 150; $n++) {
        $sth = $db->prepare("select $n + ?::int");
        for ($turn = 0; $turn < 2; $turn++) {
            $sth->execute([$turn]);
            same($n + $turn, $sth->fetchColumn());
        }
        unset($sth);            // DEALLOCATE
    }
});

check('persistent connections', function () {
    for ($turn = 0; $turn < 10; $turn++) {
        $db = connected([PDO::ATTR_PERSISTENT => true]);
        $sth = $db->prepare('select ?::int');
        $sth->execute([$turn]);
        same($turn, $sth->fetchColumn());
        unset($sth, $db);
    }
});

check('transactions and savepoints', function () {
    $db = connected();
    $db->beginTransaction();
    $db->exec('create temp table nested (n int) on commit drop');
    $db->exec('savepoint one');
    $db->exec('insert into nested values (1)');
    $db->exec('rollback to one');
    $db->exec('insert into nested values (2)');
    $db->exec('savepoint two');
    same('22012', stateOf(fn () => $db->query('select 1/0')));
    same('25P02', stateOf(fn () => $db->query('select 1')));
    $db->exec('rollback to two');
    same([2], $db->query('select n from nested')->fetchAll(PDO::FETCH_COLUMN));
    $db->rollBack();
    same(false, $db->inTransaction());
    same(false, $db->query("select to_regclass('nested') is not null")->fetchColumn());
});

check('settings', function () {
    $db = connected();
    $db->exec("set work_mem = '3MB'; set time zone 'Asia/Tokyo'");
    $db->exec("set names 'UTF8'");
    for ($n = 0; $n < 10; $n++) {
        same('3MB', $db->query('show work_mem')->fetchColumn());
        same('Asia/Tokyo', $db->query('show timezone')->fetchColumn());
    }
});

check('scrollable cursors', function () {
    $db = connected();
    $db->beginTransaction();
    $sth = $db->prepare('select n from generate_series(1, 500) n',
        [PDO::ATTR_CURSOR => PDO::CURSOR_SCROLL]);
    $sth->execute();
    same(1, $sth->fetchColumn());
    same([400], $sth->fetch(PDO::FETCH_NUM, PDO::FETCH_ORI_ABS, 400));
    same([399], $sth->fetch(PDO::FETCH_NUM, PDO::FETCH_ORI_PRIOR));
    $sth->closeCursor();
    $db->commit();
});

check('copy both ways', function () {
    $db = connected();
    $db->beginTransaction();
    $db->exec('create temp table copied (n int, t text) on commit drop');
    $lines = array_map(fn ($n) => "$n\trow $n\n", range(1, 5000));
    same(true, $db->pgsqlCopyFromArray('copied', $lines));
    same($lines, $db->pgsqlCopyToArray('copied'));
    same('22P02', stateOf(fn () => $db->pgsqlCopyFromArray('copied', ["x\ty\n"])));
    $db->rollBack();
    same(1, $db->query('select 1')->fetchColumn());
});

check('notifications', function () {
    $db = connected();
    $other = connected();
    $channel = 'bell_' . getmypid();
    $db->exec("listen $channel");
    $other->exec("notify $channel, 'rung'");
    $come = $db->pgsqlGetNotify(PDO::FETCH_ASSOC, 30000);
    same([$channel, 'rung'], [$come['message'] ?? null, $come['payload'] ?? null]);
    $db->exec('unlisten *');
});

check('large objects', function () {
    $db = connected();
    $db->beginTransaction();
    $oid = $db->pgsqlLOBCreate();
    $data = str_repeat("0123456789\x00", 10000);
    $stream = $db->pgsqlLOBOpen($oid, 'w');
    fwrite($stream, $data);
    fclose($stream);
    same($data, stream_get_contents($db->pgsqlLOBOpen($oid, 'r')));
    same(true, $db->pgsqlLOBUnlink($oid));
    $db->commit();
});

check('errors and recovery', function () {
    $db = connected();
    foreach (['select 1/0' => '22012', 'selec' => '42601', 'select * from missing_table' => '42P01']
        as $sql => $state) {
        same($state, stateOf(fn () => $db->query($sql)));
        same($state, stateOf(fn () => $db->prepare("$sql -- again")->execute()));
        same(1, $db->query('select 1')->fetchColumn());
    }
    $sth = $db->prepare('select ?::int');
    for ($n = 0; $n < 4; $n++) {
        same('22P02', stateOf(fn () => $sth->execute(['x'])));
        $sth->execute([$n]);
        same($n, $sth->fetchColumn());
    }
});

check('pgsql functions', function () {
    $db = pg_connect('', PGSQL_CONNECT_FORCE_NEW);
    pg_prepare($db, 'twice', 'select $1::int * 2');
    for ($n = 0; $n < 10; $n++) {
        same((string) (2 * $n), pg_fetch_result(pg_execute($db, 'twice', [$n]), 0, 0));
        same("$n", pg_fetch_result(pg_query_params($db, 'select $1::text', [$n]), 0, 0));
    }
    pg_send_query($db, 'select 1; select 2');
    same('1', pg_fetch_result(pg_get_result($db), 0, 0));
    same('2', pg_fetch_result(pg_get_result($db), 0, 0));
    same(false, pg_get_result($db));
    pg_query($db, "set work_mem = '5MB'");
    same('5MB', pg_fetch_result(pg_query($db, 'show work_mem'), 0, 0));
    pg_close($db);
});

check('large values', function () {
    $db = connected();
    $text = str_repeat('é', 2000000);
    $sth = $db->prepare('select ?::text');
    $sth->execute([$text]);
    same(true, $sth->fetchColumn() === $text);
});

$failures = 0;
foreach ($checks as [$name, $run]) {
    try {
        $run();
        echo "ok $name\n";
    } catch (Throwable $e) {
        $failures++;
        echo "not ok $name: " . preg_replace('/\s+/', ' ', $e->getMessage()) . "\n";
    }
}
echo '1..' . count($checks) . "\n";
exit($failures ? 1 : 0);
