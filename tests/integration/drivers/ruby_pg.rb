#!/usr/bin/ruby
# frozen_string_literal: true

# ruby-pg against the server in libpq's environment variables.
require 'pg'
require 'timeout'

$stdout.sync = true
LINKS_CHANGE = ENV['LAB_LINKS_CHANGE'] == '1'
CHECKS = []

def check(name, &run)
  CHECKS << [name, run]
end

def same(expected, got)
  raise "got #{got.inspect}, expected #{expected.inspect}" unless expected == got
end

def fails(kind)
  yield
rescue kind => e
  e
else
  raise "no #{kind}"
end

def connected(**more)
  conn = PG.connect(**more)
  begin
    yield conn
  ensure
    conn.close
  end
end

check 'values in both formats' do
  connected do |conn|
    data = "\x00\xFF'\\".b
    got = conn.exec_params('select $1::bytea', [{ value: data, format: 1 }], 1)
    same data, got.getvalue(0, 0)
    conn.type_map_for_queries = PG::BasicTypeMapForQueries.new(conn)
    conn.type_map_for_results = PG::BasicTypeMapForResults.new(conn)
    given = [7, 2.5, 'ünï €', nil, true, [1, 2, 3]]
    sql = 'select $1::int, $2::float8, $3::text, $4::text, $5::bool, $6::int[]'
    5.times { same given, conn.exec_params(sql, given).values[0] }
    same [7, 2.5, 'ünï €', nil, true],
         conn.exec_params(sql, given, 1).values[0].take(5)
  end
end

check 'prepared across transactions' do
  pids = Queue.new
  threads = (0...8).map do |number|
    Thread.new do
      connected do |conn|
        conn.prepare('product', "select pg_backend_pid(), $1::int * #{number}")
        conn.prepare('label', "select 'client #{number} ' || $1::text")
        25.times do |turn|
          conn.transaction do
            pid, product = conn.exec_prepared('product', [turn]).values[0]
            pids << pid
            same (turn * number).to_s, product
          end
          same "client #{number} #{turn}", conn.exec_prepared('label', [turn]).getvalue(0, 0)
        end
      end
    end
  end
  threads.each(&:value)
  seen = Array.new(pids.size) { pids.pop }.uniq
  raise 'every transaction ran on the same connection' if LINKS_CHANGE && seen.size < 2
end

check 'statements come and go' do
  connected do |conn|
    60.times do |n|
      conn.prepare('s', "select $1::int + #{n}")
      same 'select', conn.describe_prepared('s').fname(0) == '?column?' ? 'select' : 'other'
      same (n + 1).to_s, conn.exec_prepared('s', [1]).getvalue(0, 0)
      conn.exec(n.even? ? 'deallocate s' : 'deallocate all')
    end
    same '26000', fails(PG::InvalidSqlStatementName) { conn.exec_prepared('s', [1]) }.result
      .error_field(PG::PG_DIAG_SQLSTATE)
  end
end

check 'pipeline' do
  connected do |conn|
    3.times do
      conn.enter_pipeline_mode
      20.times { |n| conn.send_query_params('select $1::int', [n]) }
      conn.pipeline_sync
      20.times do |n|
        same n.to_s, conn.get_result.getvalue(0, 0)
        same nil, conn.get_result
      end
      same PG::PGRES_PIPELINE_SYNC, conn.get_result.result_status
      conn.send_query_params('select 1 / $1::int', [0])
      conn.send_query_params('select 2', [])
      conn.pipeline_sync
      fails(PG::DivisionByZero) { conn.get_result.check }
      conn.get_result
      same PG::PGRES_PIPELINE_ABORTED, conn.get_result.result_status
      conn.get_result
      same PG::PGRES_PIPELINE_SYNC, conn.get_result.result_status
      conn.exit_pipeline_mode
      same '1', conn.exec('select 1').getvalue(0, 0)
    end
  end
end

check 'single row mode' do
  connected do |conn|
    conn.send_query('select n from generate_series(1, 1000) n; select 5')
    conn.set_single_row_mode
    seen = []
    while (result = conn.get_result)
      result.check
      result.each_row { |row| seen << row[0].to_i }
    end
    same (1..1000).to_a + [5], seen
  end
end

check 'transactions and savepoints' do
  connected do |conn|
    conn.transaction do
      conn.exec('create temp table nested (n int) on commit drop')
      conn.exec('savepoint one; insert into nested values (1); rollback to one')
      conn.exec('insert into nested values (2); savepoint two')
      fails(PG::DivisionByZero) { conn.exec('select 1/0') }
      same PG::PQTRANS_INERROR, conn.transaction_status
      fails(PG::InFailedSqlTransaction) { conn.exec('select 1') }
      conn.exec('rollback to two; release two')
      same [['2']], conn.exec('select n from nested').values
    end
    fails(KeyError) { conn.transaction { raise KeyError } }
    same PG::PQTRANS_IDLE, conn.transaction_status
  end
end

check 'cursors' do
  connected do |conn|
    conn.transaction do
      conn.exec('declare c scroll cursor for select n from generate_series(1, 500) n')
      same (1..70).map(&:to_s), conn.exec('fetch 70 from c').column_values(0)
      same ['400'], conn.exec('fetch absolute 400 from c').column_values(0)
      same %w[399 398], conn.exec('fetch backward 2 from c').column_values(0)
    end
    fails(PG::InvalidCursorName) { conn.exec('fetch 1 from c') }
  end
end

check 'copy both ways' do
  connected do |conn|
    conn.transaction do
      conn.exec('create temp table copied (n int, t text) on commit drop')
      encoder = PG::TextEncoder::CopyRow.new
      conn.copy_data('copy copied from stdin', encoder) do
        5000.times { |n| conn.put_copy_data([n, "row\t#{n}\\"]) }
      end
      rows = []
      decoder = PG::TextDecoder::CopyRow.new
      conn.copy_data('copy (select * from copied order by n) to stdout', decoder) do
        while (row = conn.get_copy_data)
          rows << row
        end
      end
      same Array.new(5000) { |n| [n.to_s, "row\t#{n}\\"] }, rows
    end
    fails(KeyError) do
      conn.transaction do
        conn.exec('create temp table copied (n int) on commit drop')
        conn.copy_data('copy copied from stdin') { raise KeyError }
      end
    end
    same '1', conn.exec('select 1').getvalue(0, 0)
  end
end

check 'notifications' do
  connected do |conn|
    connected do |other|
      channel = "bell_#{Process.pid}"
      conn.exec("listen #{channel}")
      other.exec("notify #{channel}, 'rung'")
      come = nil
      conn.wait_for_notify(30) { |name, _pid, payload| come = [name, payload] }
      same [channel, 'rung'], come
      conn.exec("unlisten #{channel}")
      other.exec("notify #{channel}, 'again'")
      conn.exec('select 1')
      same nil, conn.notifies
    end
  end
end

check 'settings' do
  connected(options: '-c work_mem=3MB', application_name: 'ruby') do |conn|
    conn.exec("set time zone 'Asia/Tokyo'; set search_path = pg_catalog")
    same 'Asia/Tokyo', conn.parameter_status('TimeZone')
    10.times do
      row = conn.exec("select current_setting('work_mem'), current_setting('timezone'), " \
                      "current_setting('application_name'), current_setting('search_path')")
      same ['3MB', 'Asia/Tokyo', 'ruby', 'pg_catalog'], row.values[0]
    end
    conn.exec('discard all')
    same %w[3MB UTC], conn.exec("select current_setting('work_mem'), current_setting('timezone')")
      .values[0]
    conn.internal_encoding = 'ISO-8859-1'
    conn.set_client_encoding('LATIN1')
    same "\xE9".b, conn.exec('select chr(233)').getvalue(0, 0).b
  end
end

check 'errors and recovery' do
  connected do |conn|
    { 'select 1/0' => PG::DivisionByZero, 'selec' => PG::SyntaxError,
      'select * from missing_table' => PG::UndefinedTable }.each do |sql, kind|
      fails(kind) { conn.exec(sql) }
      fails(kind) { conn.exec_params("#{sql} -- $1", []) }
      same '5', conn.exec_params('select $1::int', [5]).getvalue(0, 0)
    end
  end
end

check 'cancel' do
  connected do |conn|
    connected do |other|
      3.times do |n|
        mark = "sleeper #{Process.pid} #{n}"
        conn.send_query("select pg_sleep(30) /* #{mark} */")
        # A statement that has not begun cannot be cancelled.
        nil until other.exec_params("select 1 from pg_stat_activity where state = 'active' and " \
                                    "query like '%/* ' || $1 || ' */'", [mark]).ntuples == 1
        same nil, conn.cancel
        fails(PG::QueryCanceled) { conn.get_last_result }
        same '1', conn.exec('select 1').getvalue(0, 0)
      end
    end
  end
end

check 'notices' do
  connected do |conn|
    seen = []
    conn.set_notice_processor { |text| seen << text.strip }
    conn.exec("do $$ begin raise notice 'one'; raise warning 'two'; end $$")
    same ['NOTICE:  one', 'WARNING:  two'], seen
  end
end

check 'large values' do
  connected do |conn|
    text = 'é' * 2_000_000
    same true, conn.exec_params('select $1::text', [text]).getvalue(0, 0) == text
  end
end

failures = 0
CHECKS.each do |name, run|
  Timeout.timeout(60) { run.call }
  puts "ok #{name}"
rescue StandardError => e
  failures += 1
  warn e.full_message(highlight: false)
  puts "not ok #{name}: #{e.class}: #{e.message.gsub(/\s+/, ' ')}"
end
puts "1..#{CHECKS.size}"
exit(failures.zero? ? 0 : 1)
