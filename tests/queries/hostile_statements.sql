-- Statements that a project's key may send, one a line: none may show, or depend on, a row of another project.
SELECT * FROM merge('evalspan','.*')
SELECT * FROM merge(currentDatabase(),'^spans$')
SELECT * FROM merge(REGEXP('.*'),'spans')
SELECT * FROM remote('127.0.0.1', evalspan.spans)
SELECT * FROM remote('127.0.0.1', view(SELECT * FROM spans))
SELECT * FROM remoteSecure('h', evalspan.spans)
SELECT * FROM cluster('default', evalspan.spans)
SELECT * FROM clusterAllReplicas('default', evalspan.spans)
SELECT * FROM viewIfPermitted(SELECT input FROM spans ELSE null('input String'))
SELECT * FROM view(SELECT * FROM otlp_to_spans)
SELECT * FROM view(SELECT * FROM evalspan.spans)
SELECT * FROM viewExplain('EXPLAIN','',(SELECT * FROM spans))
SELECT * FROM (EXPLAIN SELECT * FROM spans)
SELECT * FROM (EXPLAIN SYNTAX SELECT * FROM spans)
EXPLAIN AST SELECT * FROM spans
EXPLAIN SYNTAX SELECT * FROM spans
EXPLAIN QUERY TREE SELECT * FROM spans
EXPLAIN PLAN actions=1 SELECT * FROM spans
EXPLAIN PIPELINE SELECT * FROM spans
EXPLAIN TABLE OVERRIDE mysql('h','d','t','u','p') PARTITION BY 1
EXPLAIN CURRENT TRANSACTION
EXPLAIN ESTIMATE SELECT * FROM spans WHERE input='x'
EXPLAIN indexes=1, projections=1 SELECT * FROM spans
SELECT * FROM file('/etc/passwd','LineAsString')
SELECT file('/etc/passwd')
SELECT * FROM url('http://127.0.0.1/','CSV','a String')
SELECT * FROM s3('http://x','CSV')
SELECT * FROM executable('ls',TabSeparated,'a String')
SELECT * FROM input('a String')
SELECT * FROM format(JSONEachRow,'{"a":1}')
SELECT * FROM values('a String',('x'))
SELECT * FROM generateRandom('a String',1,10) LIMIT 3
SELECT * FROM numbers(3)
SELECT * FROM zeros(3)
SELECT * FROM null('a String')
SELECT * FROM dictionary('d')
SELECT dictGet('d','a',1)
SELECT dictGetOrDefault('evalspan.d','a',1,2)
SELECT * FROM loop(evalspan.spans) LIMIT 1
SELECT * FROM loop(spans) LIMIT 1
SELECT * FROM mergeTreeIndex('evalspan','spans')
SELECT * FROM mergeTreeIndex(evalspan, spans, with_marks=true)
SELECT * FROM mergeTreeProjection(evalspan, spans, p)
SELECT * FROM mergeTreeAnalyzeIndexes('evalspan','spans')
SELECT * FROM mergeTreeTextIndex('evalspan','spans','i')
SELECT * FROM timeSeriesData('evalspan.spans')
SELECT * FROM fuzzQuery('SELECT 1')
SELECT * FROM fuzzJSON('x')
SELECT * FROM sqlite('/tmp/x','t')
SELECT * FROM mysql('h:1','d','t','u','p')
SELECT * FROM postgresql('h:1','d','t','u','p')
SELECT * FROM mongodb('h:1','d','t','u','p','a String')
SELECT * FROM redis('h:1','k','k String')
SELECT * FROM jdbc('x','y')
SELECT * FROM hdfs('hdfs://x','CSV','a String')
SELECT * FROM iceberg('x')
SELECT * FROM deltaLake('x')
SELECT * FROM azureBlobStorage('x')
SELECT * FROM Python(x)
SELECT * FROM python('x')
SELECT * FROM arrowStream('x')
SELECT * FROM primes() LIMIT 3
SELECT _part, _partition_id, _part_offset FROM spans
SELECT _table, _database FROM spans
SELECT * FROM spans WHERE _part LIKE '%'
SELECT _part_uuid, _block_number, _sample_factor FROM spans
SELECT spans._part FROM spans
SELECT count() FROM system.parts
SELECT count() FROM system.parts_columns
SELECT * FROM system.query_log
SELECT query FROM system.processes
SELECT * FROM system.settings LIMIT 1
SELECT * FROM system.users
SELECT * FROM system.grants
SELECT * FROM system.disks
SELECT * FROM system.mutations
SELECT * FROM system.columns WHERE table='otlp_to_spans'
SELECT create_table_query FROM system.tables
SELECT as_select, engine_full FROM system.tables
SELECT name FROM system.databases
SELECT * FROM system.dictionaries
SELECT * FROM system.functions LIMIT 1
SELECT * FROM system.completions
SELECT * FROM system.detached_parts
SELECT * FROM system.data_skipping_indices
SELECT * FROM system.query_cache
SELECT * FROM system.asynchronous_metrics LIMIT 1
SELECT * FROM system.server_settings LIMIT 1
SELECT * FROM system.zookeeper
SELECT * FROM system.stack_trace
SELECT * FROM system.text_log
SELECT * FROM system.errors
SELECT last_error_message FROM system.errors
SELECT * FROM `system`.`errors`
SELECT * FROM "system"."parts"
SHOW CREATE TABLE spans
SHOW CREATE TABLE evalspan.otlp_to_spans
SHOW CREATE VIEW {mine_db}.spans
SHOW TABLES FROM {other_db}
SHOW TABLES FROM {mine_db}
SHOW DATABASES
SHOW PROCESSLIST
SHOW GRANTS
SHOW SETTINGS LIKE '%'
SHOW INDEX FROM spans
SHOW COLUMNS FROM otlp_to_spans FROM evalspan
SHOW FUNCTIONS
DESCRIBE TABLE otlp_to_spans
DESCRIBE TABLE (SELECT * FROM {other_db}.spans)
DESCRIBE TABLE {other_db}.spans
DESCRIBE file('/etc/passwd')
EXISTS TABLE {other_db}.spans
EXISTS VIEW {other_db}.spans
EXISTS DICTIONARY x
CHECK TABLE spans
USE {other_db}
SET readonly = 0
SET allow_ddl = 1
SET param_x = 1
SELECT 1 INTO OUTFILE '{folder}/pwned'
SELECT 1 INTO OUTFILE '{folder}/pwned' TRUNCATE FORMAT CSV
SELECT 1 FORMAT SQLInsert
SELECT 1 FORMAT Template SETTINGS format_template_row='/etc/passwd'
SELECT 1 SETTINGS format_template_resultset='/etc/passwd'
SELECT 1 SETTINGS format_schema='/etc/passwd'
SELECT 1 FORMAT Protobuf SETTINGS format_schema='a:b'
SELECT 1 FORMAT CapnProto
SELECT 1 FORMAT Null
SELECT 1 FORMAT NoSuch
SELECT 1 FORMAT Native FORMAT CSV
SELECT input FROM spans SETTINGS additional_result_filter='1'
SELECT input FROM (SELECT input FROM spans SETTINGS additional_table_filters={'{mine_db}.spans':'1'})
SELECT input FROM (SELECT input FROM spans SETTINGS enable_analyzer=0)
SELECT input FROM spans SETTINGS enable_analyzer=0
SELECT input FROM spans SETTINGS allow_experimental_analyzer=0
SELECT input FROM spans SETTINGS readonly=0, max_memory_usage=0
SELECT input FROM spans SETTINGS row_policy='x'
SELECT input FROM spans SETTINGS force_index_by_date=1
SELECT input FROM spans SETTINGS optimize_move_to_prewhere=1, query_plan_enable_optimizations=1
SELECT input FROM spans SETTINGS log_comment='x', log_queries=1
SELECT input FROM spans SETTINGS sql_security='none'
SELECT input FROM spans SETTINGS custom_x=1
SELECT getSetting('readonly')
SELECT getServerSetting('x')
SELECT getMacro('x')
SELECT hostName(), fqdn(), tcpPort(), version(), serverUUID()
SELECT currentUser(), currentRoles(), currentQueryID(), queryID()
SELECT filesystemAvailable()
SELECT demangle(addressToSymbol(1))
SELECT addressToLine(1)
SELECT throwIf(input LIKE '%secret%') FROM spans
SELECT catboostEvaluate('/etc/passwd', 1)
SELECT naiveBayesClassifier('x','y')
SELECT evalMLMethod(1,2)
SELECT modelEvaluate('x',1)
SELECT initializeAggregation('count', 1)
SELECT runningAccumulate(countState()) FROM spans
SELECT neighbor(input, 1) FROM spans
SELECT lagInFrame(input) OVER (ORDER BY start_time ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) FROM spans
SELECT input, count() OVER (PARTITION BY project) FROM spans
SELECT arrayMap(x -> (x, project, input), [1]) FROM spans
SELECT arrayFilter((x) -> project != '{mine}', [input]) FROM spans
SELECT x FROM spans ARRAY JOIN [input] AS x
SELECT k FROM spans LEFT ARRAY JOIN mapKeys(attributes) AS k
SELECT input FROM spans ORDER BY start_time WITH FILL STEP 1 LIMIT 5
SELECT toDate(start_time) d, any(input) i FROM spans GROUP BY d ORDER BY d WITH FILL FROM toDate('2026-01-01') TO toDate('2026-01-09') INTERPOLATE (i AS i)
SELECT input FROM spans LIMIT 1 BY project
SELECT input FROM spans LIMIT 1 WITH TIES
SELECT DISTINCT ON (project) input FROM spans
SELECT * EXCEPT project FROM spans QUALIFY row_number() OVER () > 0
SELECT COLUMNS('.*') FROM spans
SELECT * REPLACE (input AS output) FROM spans
SELECT * APPLY(toString) FROM spans
SELECT spans.* FROM spans SAMPLE 0.1
SELECT input FROM spans FINAL SAMPLE 1/2 OFFSET 1/2
SELECT input FROM spans PREWHERE project = '{other}'
SELECT input FROM {mine_db}.spans
SELECT input FROM {other_db}.spans
SELECT input FROM evalspan.spans AS s JOIN evalspan.evaluations e USING trace_id
SELECT input FROM spans WHERE trace_id IN otlp_to_spans
SELECT input FROM spans WHERE (trace_id) GLOBAL IN (SELECT trace_id FROM {other_db}.spans)
SELECT (SELECT groupArray(input) FROM {other_db}.spans)
SELECT (SELECT groupArray(input) FROM spans WHERE project='{other}')
WITH (SELECT max(input) FROM spans) AS m SELECT m
WITH RECURSIVE spans AS (SELECT * FROM evalspan.spans) SELECT input FROM spans
WITH x AS (SELECT * FROM evalspan.otlp_to_spans) SELECT * FROM x
SELECT * FROM spans AS OF TIMESTAMP now()
SELECT * FROM spans VERSION AS OF 1
SELECT * FROM spans PASTE JOIN otlp_to_spans
SELECT * FROM spans CROSS JOIN {other_db}.spans
SELECT * FROM spans, {other_db}.spans AS o
SELECT hasColumnInTable('evalspan','otlp_to_spans','input')
SELECT hasColumnInTable('{other_db}','spans','input')
SELECT joinGet('evalspan.spans','input','x')
SELECT joinGetOrNull('spans','input','x')
SELECT toTypeName((SELECT 1 FROM {other_db}.spans))
SELECT 'x' IN ({other_db}.spans)
SELECT * FROM s3Cluster('c','x')
CREATE TABLE x (a Int8) ENGINE=Memory
CREATE TEMPORARY TABLE x AS SELECT * FROM evalspan.spans
CREATE VIEW v AS SELECT {x:String}
CREATE FUNCTION f AS (x) -> x
CREATE USER u
DROP TABLE spans
TRUNCATE TABLE spans
ALTER TABLE spans DELETE WHERE 1
INSERT INTO spans SELECT * FROM spans
INSERT INTO FUNCTION file('{folder}/pwned2') SELECT 1
DELETE FROM spans WHERE 1
UPDATE spans SET input='x' WHERE 1
OPTIMIZE TABLE spans
ATTACH TABLE x
DETACH TABLE spans
RENAME TABLE spans TO x
EXCHANGE TABLES spans AND evaluations
KILL QUERY WHERE 1
SYSTEM FLUSH LOGS
SYSTEM SHUTDOWN
BACKUP TABLE spans TO Disk('d','x')
RESTORE TABLE spans FROM Disk('d','x')
GRANT ALL ON *.* TO u
EXECUTE AS default SELECT 1
BEGIN TRANSACTION
SELECT 1; SELECT * FROM {other_db}.spans
SELECT 1 /* */ ; DROP TABLE spans
SELECT/**/input/**/FROM/**/{other_db}/**/./**/spans
SELECT input FROM {other_db} . spans
SELECT input FROM /* evalspan. */ {other_db}.spans -- x
SELECT input FROM evalspan.`otlp_to_spans`
SELECT input FROM evalspan."otlp_to_spans"
SELECT input FROM `evalspan.otlp_to_spans`
SELECT input FROM `evalspan`.`\\x6ftlp_to_spans`
SELECT input FROM evalspan.“otlp_to_spans”
SELECT input FROM evalspan.ｓpans
SELECT input FROM evalspan.otlp_to_spans 
SELECT input​ FROM spans
FROM {other_db}.spans SELECT input
FROM otlp_to_spans
SELECT input FROM {other_db}.spans SETTINGS max_threads=1 FORMAT JSON
SELECT * FROM (SELECT * FROM (SELECT * FROM {other_db}.spans))
SELECT input FROM spans UNION ALL SELECT input FROM {other_db}.spans
SELECT input FROM spans EXCEPT SELECT input FROM {other_db}.spans
(SELECT input FROM {other_db}.spans)
((SELECT input FROM {other_db}.spans))
SELECT [(SELECT any(input) FROM {other_db}.spans)]
SELECT if(1, (SELECT any(input) FROM {other_db}.spans), '')
SELECT 1 ORDER BY (SELECT any(input) FROM {other_db}.spans)
SELECT 1 LIMIT (SELECT count() FROM {other_db}.spans)
SELECT 1 WHERE EXISTS (SELECT 1 FROM {other_db}.spans)
SELECT count() FROM spans HAVING (SELECT count() FROM {other_db}.spans) > 0
SELECT count() FROM numbers((SELECT count() FROM {other_db}.spans))
SELECT count() FROM values('a UInt64', ((SELECT count() FROM {other_db}.spans)))
SELECT * FROM executable('cat', 'TSV', 'a String', (SELECT * FROM spans))
SELECT transform(1,[1],[(SELECT any(input) FROM {other_db}.spans)],'')
SELECT extractAll((SELECT groupConcat(input) FROM {other_db}.spans), '.*')
PARALLEL WITH SELECT 1
SELECT 1 PARALLEL WITH SELECT 2
SELECT * FROM spans STREAM
SELECT lowCardinalityIndices(toLowCardinality(project)), lowCardinalityKeys(toLowCardinality(project)) FROM spans
SELECT lowCardinalityKeys(project) FROM spans
SELECT dumpColumnStructure(project) FROM spans
SELECT defaultValueOfArgumentType(project), blockSize(), blockNumber(), rowNumberInAllBlocks() FROM spans
SELECT getSizeOfEnumType(status) FROM spans
SELECT byteSize(*) FROM spans
SELECT estimateCompressionRatio(input) FROM spans
SELECT groupArraySample(100)(input) FROM spans
SELECT quantiles(0.5)(duration_ns) FROM spans WITH TOTALS
SELECT project, any(input) FROM spans GROUP BY GROUPING SETS ((project),())
SELECT count() FROM spans WHERE project IN (SELECT project FROM evaluations)
SELECT uniqExact(project) FROM spans
SELECT min(_part_offset), max(_part_offset) FROM spans
SELECT max(ingested_at), min(start_time), count() FROM spans
SELECT attributes.keys FROM spans
SELECT input.size0, input.size FROM spans
SELECT resource.values FROM spans
SELECT materialize(project), identity(input) FROM spans
SELECT lowCardinalityKeys(service) FROM spans
SELECT topK(10)(project) FROM spans
SELECT * FROM spans WHERE 1 OR project != '{mine}'
SELECT * FROM spans WHERE NOT (project = '{mine}')
SELECT {x:Identifier} FROM spans
SELECT * FROM {x:Identifier}
SELECT * FROM INFORMATION_SCHEMA.VIEWS
SELECT view_definition FROM information_schema.views
SELECT * FROM information_schema.key_column_usage
SELECT * FROM information_schema.columns WHERE table_name='otlp_to_spans'
SELECT * FROM generateSerialID('x')
SELECT generateSerialID('x')
SELECT aiGenerate('x','y')
SELECT llmGenerate('x')
SELECT * FROM ytsaurus('x')
SELECT * FROM prometheusQuery('evalspan','spans','x',now())
SELECT * FROM timeSeriesSelector('evalspan','spans','x',now(),now())
SELECT * FROM odbc('x','y','z')
SELECT * FROM hudi('x')
SELECT * FROM paimon('x')
SELECT * FROM nosuchfunction('x')
SELECT nosuchfunction(input) FROM spans
SELECT lambda(tuple(x), x)(1)
SELECT apply(x -> (SELECT any(input) FROM {other_db}.spans), 1)
SELECT __getScalar('x')
SELECT __actionName(1,'x')
SELECT __bitBoolMaskOr(1,2)
SELECT __scalarSubqueryResult((SELECT any(input) FROM {other_db}.spans))
SELECT indexHint(input LIKE '%secret%') FROM spans
SELECT ignore(throwIf(project != '{mine}')) FROM spans
SELECT shardNum(), shardCount(), partitionId(1), _shard_num FROM spans
SELECT minSampleSizeContinuous(1,1,1,1,1)
SELECT uptime(), timezone(), serverTimezone(), zookeeperSessionUptime()
SELECT authenticatedUser(), initialQueryID(), connectionId(), getOSKernelVersion(), displayName()
SELECT stringToH3('x'), revision(), buildId(), FQDN(), mysqlVersion()
