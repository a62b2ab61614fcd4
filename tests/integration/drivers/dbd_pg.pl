#!/usr/bin/perl
# DBD::Pg (libdbd-pg-perl) against the server in libpq's environment variables.
use strict;
use warnings;
use utf8;
use DBI;
use DBD::Pg qw(:pg_types :async);
use IO::Select;

binmode STDOUT, ':utf8';
binmode STDERR, ':utf8';
$| = 1;
my $links_change = ($ENV{LAB_LINKS_CHANGE} // '') eq '1';
my ($count, $failures) = (0, 0);

sub check {
    my ($name, $run) = @_;
    $count++;
    if (eval { local $SIG{ALRM} = sub { die "not done within 60 s\n" }; alarm 60; $run->();
               alarm 0; 1 }) {
        print "ok $name\n";
        return;
    }
    my $why = $@;
    alarm 0;
    $why =~ s/\s+/ /g;
    $failures++;
    print "not ok $name: $why\n";
}

sub is {
    my ($got, $expected, $what) = @_;
    my ($g, $e) = map { defined $_ ? (ref $_ ? join('|', map { $_ // 'null' } @$_) : $_) : 'null' }
        ($got, $expected);
    die(($what // 'value') . ": got $g, expected $e, line " . (caller)[2] . "\n") unless $g eq $e;
}

sub connected {
    my (%more) = @_;
    return DBI->connect('dbi:Pg:', undef, undef,
        { RaiseError => 1, PrintError => 0, AutoCommit => 1, pg_enable_utf8 => 1, %more });
}

# The SQLSTATE with which something fails.
sub state_of {
    my ($db, $run) = @_;
    eval { $run->(); 1 } and die "no error, line " . (caller)[2] . "\n";
    return $db->state;
}

check values => sub {
    my $db = connected();
    my $sth = $db->prepare('select ?::int, ?::text, ?::bytea, ?::text, ?::int[], ?::bool');
    $sth->bind_param(3, undef, { pg_type => PG_BYTEA });
    for (1 .. 5) {
        $sth->execute(7, 'ünï €', "\x00\xff'\\", undef, [1, 2], 1);
        my $row = $sth->fetchrow_arrayref;
        is($row->[0], 7);
        is($row->[1], 'ünï €');
        is($row->[2], "\x00\xff'\\");
        is($row->[3], undef);
        is($row->[4], [1, 2]);
        is($row->[5], 1);
    }
};

# DBD::Pg calls its statements dbdpg_p<pid>_1 and so on: forked or not, names of several sessions
# of this process are the same.
check 'prepared across transactions' => sub {
    my %pids;
    my @clients = map { my $n = $_; my $db = connected();
        { n => $n, db => $db,
          product => $db->prepare("select pg_backend_pid(), ?::int * $n", { pg_prepare_now => 1 }),
          label => $db->prepare("select 'client $n ' || ?::text") } } 1 .. 8;
    # While one's transaction is open, the next one needs another server connection.
    my $open;
    for my $turn (0 .. 24) {
        for my $c (@clients) {
            $c->{db}->begin_work;
            $c->{product}->execute($turn);
            my ($pid, $product) = @{ $c->{product}->fetchall_arrayref->[0] };
            $pids{$pid} = 1;
            is($product, $turn * $c->{n});
            my $last = $open;
            $open = $c;
            next unless $last;
            $last->{db}->commit;
            $last->{label}->execute($turn);
            is($last->{label}->fetchall_arrayref->[0][0], "client $last->{n} $turn");
        }
    }
    $open->{db}->commit;
    die "every transaction ran on the same connection\n" if $links_change && keys %pids < 2;
};

# Statement handles that go send DEALLOCATE.
check 'statements come and go' => sub {
    my $db = connected();
    for my $n (1 .. 200) {
        my $sth = $db->prepare("select $n + ?::int", { pg_switch_prepared => 1 });
        for my $turn (1 .. 2) {
            $sth->execute($turn);
            is($sth->fetchall_arrayref->[0][0], $n + $turn);
        }
    }
    for my $n (1 .. 3) {
        my $sth = $db->prepare_cached('select ?::int');
        $sth->execute($n);
        is($sth->fetchall_arrayref->[0][0], $n);
    }
};

check 'ways to prepare' => sub {
    for my $server (0, 1) {
        my $db = connected(pg_server_prepare => $server);
        for my $n (1 .. 5) {
            is($db->selectrow_array('select ?::int + 1', undef, $n), $n + 1);
        }
        my $sth = $db->prepare('select $1::int, $2::text, $1::int');
        $sth->execute(4, 'x');
        is($sth->fetchrow_arrayref, [4, 'x', 4]);
    }
    my $db = connected();
    $db->do("prepare by_sql(int) as select \$1 * 2");
    for my $n (1 .. 6) {
        my $sth = $db->prepare('select 1', { pg_prepare_name => 'by_sql' });
        $sth->{pg_prepare_name} = 'by_sql';
        is($db->selectrow_array("execute by_sql($n)"), $n * 2);
    }
    $db->do('deallocate by_sql');
    is(state_of($db, sub { $db->do('execute by_sql(1)') }), '26000');
};

check 'transactions and savepoints' => sub {
    my $db = connected(AutoCommit => 0);
    $db->do('create temp table nested (n int) on commit drop');
    $db->pg_savepoint('one');
    $db->do('insert into nested values (1)');
    $db->pg_rollback_to('one');
    $db->do('insert into nested values (2)');
    $db->pg_savepoint('two');
    is(state_of($db, sub { $db->do('select 1/0') }), '22012');
    is(state_of($db, sub { $db->do('select 1') }), '25P02');
    $db->pg_rollback_to('two');
    $db->pg_release('two');
    is($db->selectcol_arrayref('select n from nested'), [2]);
    is($db->ping, 3, 'ping within a transaction');
    $db->commit;
    is($db->ping, 1, 'ping');
    $db->rollback;
    $db->disconnect;
};

check settings => sub {
    my $db = connected();
    $db->do("set work_mem = '3MB'; set search_path = pg_catalog, public");
    $db->do("set time zone 'Asia/Tokyo'");
    for (1 .. 10) {
        is($db->selectrow_array('show work_mem'), '3MB');
        is($db->selectrow_array('show timezone'), 'Asia/Tokyo');
    }
    $db->do('reset all');
    is($db->selectrow_array('show work_mem'), '4MB');
};

check cursors => sub {
    my $db = connected();
    $db->begin_work;
    $db->do('declare c scroll cursor for select n from generate_series(1, 1000) n');
    my @seen;
    while (my @some = @{ $db->selectcol_arrayref('fetch 90 from c') }) { push @seen, @some }
    is(\@seen, [1 .. 1000]);
    is($db->selectcol_arrayref('fetch absolute 5 from c'), [5]);
    $db->commit;
    $db->do('declare held cursor with hold for select n from generate_series(1, 10) n');
    is($db->selectcol_arrayref('fetch 4 from held'), [1 .. 4]);
    is($db->selectcol_arrayref('fetch 3 from held'), [5 .. 7]);
    $db->do('close held');
    is(state_of($db, sub { $db->do('fetch 1 from held') }), '34000');
};

check 'copy both ways' => sub {
    my $db = connected();
    $db->begin_work;
    $db->do('create temp table copied (n int, t text) on commit drop');
    $db->do('copy copied from stdin');
    $db->pg_putcopydata("$_\trow $_\n") for 1 .. 5000;
    $db->pg_putcopyend;
    $db->do('copy (select * from copied order by n) to stdout');
    my ($line, @lines);
    while ($db->pg_getcopydata($line) >= 0) { push @lines, $line }
    is(join('', @lines), join('', map { "$_\trow $_\n" } 1 .. 5000));
    is($db->selectrow_array('select sum(n) from copied'), 5000 * 5001 / 2);
    $db->commit;
    $db->begin_work;
    $db->do('create temp table copied (n int) on commit drop; copy copied from stdin');
    $db->pg_putcopydata("not a number\n");
    is(state_of($db, sub { $db->pg_putcopyend }), '22P02');
    $db->rollback;
    is($db->selectrow_array('select 1'), 1);
};

check 'errors and recovery' => sub {
    my $db = connected();
    for my $case (['select 1/0', '22012'], ['selec', '42601'],
                  ['select * from missing_table', '42P01'], ["select 'x'::int", '22P02']) {
        is(state_of($db, sub { $db->do($case->[0]) }), $case->[1]);
        is(state_of($db, sub { $db->selectall_arrayref($case->[0] . ' where 1 = ?', undef, 1) }) =~
            /^(?:22012|42601|42P01|22P02)$/, 1);
        is($db->selectrow_array('select ?::int', undef, 5), 5);
    }
};

check asynchronous => sub {
    my $db = connected();
    for my $n (1 .. 20) {
        $db->do("select $n", { pg_async => PG_ASYNC });
        IO::Select->new($db->{pg_socket})->can_read(30) or die "nothing within 30 s\n"
            until $db->pg_ready;
        is($db->pg_result, 1);
    }
    my $other = connected();
    for my $n (1 .. 3) {
        $db->do("select pg_sleep(30) /* sleeper $$ $n */", { pg_async => PG_ASYNC });
        # A statement that has not begun cannot be cancelled.
        1 until $other->selectrow_array('select count(*) from pg_stat_activity where state = ? '
            . "and query like '%/* sleeper $$ $n *' || '/'", undef, 'active');
        is($db->pg_cancel, 1, 'cancelled');
        is($db->selectrow_array('select 1'), 1);
    }
};

check notifications => sub {
    my $db = connected();
    my $other = connected();
    my $channel = "bell_$$";
    $db->do("listen $channel");
    $other->do("notify $channel, 'rung'");
    my $come;
    until ($come = $db->pg_notifies) {
        IO::Select->new($db->{pg_socket})->can_read(30) or die "nothing within 30 s\n";
    }
    is([@$come[0, 2]], [$channel, 'rung']);
    $db->do('unlisten *');
};

check 'large values' => sub {
    my $db = connected();
    my $text = 'é' x 2_000_000;
    is($db->selectrow_array('select ?::text', undef, $text) eq $text, 1);
};

check 'large objects' => sub {
    my $db = connected(AutoCommit => 0);
    my $oid = $db->pg_lo_creat($db->{pg_INV_WRITE} | $db->{pg_INV_READ});
    my $data = join('', map { chr($_ % 256) } 1 .. 100_000);
    my $fd = $db->pg_lo_open($oid, $db->{pg_INV_WRITE} | $db->{pg_INV_READ});
    is($db->pg_lo_write($fd, $data, length $data), length $data);
    is($db->pg_lo_lseek($fd, 0, 0), 0);
    my $back = '';
    is($db->pg_lo_read($fd, $back, length $data), length $data);
    is($back eq $data, 1);
    $db->pg_lo_close($fd);
    $db->pg_lo_unlink($oid);
    $db->commit;
    $db->disconnect;
};

print "1..$count\n";
exit($failures ? 1 : 0);
