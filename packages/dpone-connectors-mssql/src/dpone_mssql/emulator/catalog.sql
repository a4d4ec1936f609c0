-- What SQL Server's catalogue says of the tables here, and the triggers behind rowversion columns.

CREATE TABLE tsql.long_names (short text PRIMARY KEY, name text NOT NULL);
CREATE FUNCTION tsql.long(v name) RETURNS tsql.sysname LANGUAGE sql STABLE STRICT
    RETURN CAST(coalesce((SELECT n.name FROM tsql.long_names n WHERE n.short = CAST(v AS text)), CAST(v AS text)) AS tsql.sysname);
CREATE SEQUENCE tsql.versions START 2001;
CREATE FUNCTION tsql.stamp() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW := json_populate_record(NEW, json_build_object(TG_ARGV[0], '\x' || encode(int8send(nextval('tsql.versions')), 'hex')));
    RETURN NEW;
END $$;
CREATE FUNCTION tsql.add_computed(tbl text, col text, value text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE t text;
BEGIN
    EXECUTE format('CREATE TEMPORARY VIEW "~computed" AS SELECT %s AS c FROM %s', value, tbl);
    SELECT format_type(atttypid, atttypmod) INTO t FROM pg_attribute WHERE attrelid = 'pg_temp."~computed"'::regclass AND attnum = 1;
    DROP VIEW pg_temp."~computed";
    t := CASE t WHEN 'numeric' THEN 'numeric(38,10)' ELSE t END;  -- every decimal of SQL Server has its digits
    EXECUTE format('ALTER TABLE %s ADD COLUMN %s %s GENERATED ALWAYS AS (%s) STORED', tbl, col, t, value);
END $$;

CREATE SCHEMA sys;
CREATE VIEW sys.schemas AS SELECT tsql.long(n.nspname) AS name, n.oid::int4 AS schema_id FROM pg_namespace n
    WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname NOT IN ('information_schema', 'tsql', 'public');
CREATE VIEW sys.objects AS
    SELECT tsql.long(c.relname) AS name, c.oid::int4 AS object_id, c.relnamespace::int4 AS schema_id, 0 AS parent_object_id,
        CAST(CASE c.relkind WHEN 'r' THEN 'U' WHEN 'v' THEN 'V' ELSE 'X' END AS tsql.char(2)) AS type,
        CAST(CASE WHEN n.nspname IN ('sys', 'cdc') THEN '1' ELSE '0' END AS tsql.bit) AS is_ms_shipped
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'v') AND n.nspname NOT LIKE 'pg\_%' AND n.nspname NOT IN ('information_schema', 'tsql', 'public');
CREATE VIEW sys.tables AS SELECT o.*, CAST('0' AS tsql.bit) AS is_memory_optimized, CAST('0' AS tsql.tinyint) AS temporal_type,
    CAST('0' AS tsql.bit) AS is_replicated, CAST('0' AS tsql.bit) AS is_published, CAST('0' AS tsql.bit) AS is_merge_published, CAST('0' AS tsql.bit) AS is_external, CAST('0' AS tsql.bit) AS is_filetable,
    0 AS lob_data_space_id, CAST(NULL AS int4) AS principal_id,
    CAST(CASE WHEN EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = o.object_id::oid AND g.tgname = '~cdc') THEN '1' ELSE '0' END AS tsql.bit) AS is_tracked_by_cdc
    FROM sys.objects o WHERE o.type = CAST('U' AS tsql.char);
CREATE VIEW sys.views AS SELECT o.* FROM sys.objects o WHERE o.type = CAST('V' AS tsql.char);
CREATE VIEW sys.types AS SELECT CAST(v.name AS tsql.sysname) AS name, v.id AS user_type_id, v.id AS system_type_id, CAST('0' AS tsql.bit) AS is_user_defined FROM (VALUES
    ('image', 34), ('text', 35), ('uniqueidentifier', 36), ('date', 40), ('time', 41), ('datetime2', 42), ('datetimeoffset', 43),
    ('tinyint', 48), ('smallint', 52), ('int', 56), ('smalldatetime', 58), ('real', 59), ('money', 60), ('datetime', 61), ('float', 62),
    ('sql_variant', 98), ('ntext', 99), ('bit', 104), ('decimal', 106), ('numeric', 108), ('smallmoney', 122), ('bigint', 127),
    ('hierarchyid', 128), ('geometry', 129), ('geography', 130), ('varbinary', 165), ('varchar', 167), ('binary', 173), ('char', 175), ('timestamp', 189),
    ('nvarchar', 231), ('nchar', 239), ('xml', 241), ('json', 244), ('sysname', 256)) v(name, id);
CREATE VIEW sys.columns AS
    SELECT a.attrelid::int4 AS object_id, tsql.long(a.attname) AS name, a.attnum::int4 AS column_id, y.user_type_id, y.system_type_id,
        (CASE WHEN b.bare IN ('text', 'ntext', 'image') THEN 16 WHEN b.bare IN ('xml', 'json', 'geography', 'geometry') THEN -1
            WHEN b.bare = 'sysname' THEN 256 WHEN b.bare IN ('rowversion') THEN 8 WHEN b.bare = 'hierarchyid' THEN 892 WHEN b.bare = 'sql_variant' THEN 8016
            WHEN b.bare IN ('nvarchar', 'nchar') THEN CASE WHEN a.atttypmod < 0 THEN -1 ELSE (a.atttypmod - 4) * 2 END
            WHEN b.bare IN ('varchar', 'char', 'varbinary', 'binary') THEN CASE WHEN a.atttypmod < 0 THEN -1 ELSE a.atttypmod - 4 END
            ELSE greatest(t.typlen, 0) END)::int2 AS max_length,
        CAST((CASE WHEN b.bare = 'numeric' THEN (a.atttypmod - 4) >> 16 WHEN b.bare = 'float8' THEN 53 WHEN b.bare = 'float4' THEN 24 ELSE 0 END)::text AS tsql.tinyint) AS precision,
        CAST((CASE WHEN b.bare = 'numeric' THEN (a.atttypmod - 4) & 2047 WHEN b.bare IN ('time', 'datetime2') THEN CASE WHEN a.atttypmod < 0 THEN 7 ELSE a.atttypmod - 5 END WHEN b.bare = 'datetimeoffset' THEN CASE WHEN a.atttypmod < 0 THEN 7 ELSE (a.atttypmod >> 16) - 24 END ELSE 0 END)::text AS tsql.tinyint) AS scale,
        CAST(CASE WHEN t.typname LIKE '%\_bin' THEN 'Latin1_General_100_BIN2' WHEN t.typname LIKE '%\_cyr' THEN 'Cyrillic_General_CI_AS'
            WHEN b.bare IN ('nvarchar', 'nchar', 'varchar', 'char', 'text', 'ntext', 'sysname') THEN 'SQL_Latin1_General_CP1_CI_AS' END AS tsql.sysname) AS collation_name,
        CAST(CASE WHEN a.attnotnull THEN '0' ELSE '1' END AS tsql.bit) AS is_nullable,
        CAST(CASE WHEN a.attidentity <> '' THEN '1' ELSE '0' END AS tsql.bit) AS is_identity,
        CAST(CASE WHEN a.attgenerated <> '' THEN '1' ELSE '0' END AS tsql.bit) AS is_computed,
        (CASE WHEN a.atthasdef AND a.attgenerated = '' THEN 1 ELSE 0 END)::int4 AS default_object_id,
        CAST('0' AS tsql.bit) AS is_hidden, CAST('0' AS tsql.tinyint) AS generated_always_type,
        CAST('0' AS tsql.bit) AS is_rowguidcol, CAST('0' AS tsql.bit) AS is_sparse, CAST('0' AS tsql.bit) AS is_column_set, CAST('0' AS tsql.bit) AS is_filestream, CAST('0' AS tsql.bit) AS is_masked,
        CAST(NULL AS int4) AS encryption_type, 0 AS xml_collection_id
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_type t ON t.oid = a.atttypid
    CROSS JOIN LATERAL (SELECT regexp_replace(t.typname::text, '_(bin|cyr)$', '') AS bare) b
    LEFT JOIN sys.types y ON CAST(y.name AS text) = CASE b.bare WHEN 'int8' THEN 'bigint' WHEN 'int4' THEN 'int' WHEN 'int2' THEN 'smallint' WHEN 'float8' THEN 'float'
        WHEN 'float4' THEN 'real' WHEN 'numeric' THEN 'decimal' WHEN 'uuid' THEN 'uniqueidentifier' WHEN 'rowversion' THEN 'timestamp' ELSE b.bare END
    WHERE a.attnum > 0 AND NOT a.attisdropped;
CREATE VIEW sys.indexes AS
    SELECT i.indrelid::int4 AS object_id, tsql.long(c.relname) AS name, i.indexrelid::int4 AS index_id,
        CAST(CASE WHEN i.indisprimary THEN '1' ELSE '2' END AS tsql.tinyint) AS type,
        CAST(CASE WHEN i.indisprimary THEN 'CLUSTERED' ELSE 'NONCLUSTERED' END AS tsql.nvarchar) AS type_desc,
        CAST(CASE WHEN i.indisunique THEN '1' ELSE '0' END AS tsql.bit) AS is_unique,
        CAST(CASE WHEN i.indisprimary THEN '1' ELSE '0' END AS tsql.bit) AS is_primary_key,
        CAST(CASE WHEN EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype = 'u') THEN '1' ELSE '0' END AS tsql.bit) AS is_unique_constraint,
        1 AS data_space_id, CAST('0' AS tsql.bit) AS ignore_dup_key,
        CAST('0' AS tsql.bit) AS is_disabled, CAST(CASE WHEN i.indpred IS NULL THEN '0' ELSE '1' END AS tsql.bit) AS has_filter
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid;
CREATE VIEW sys.index_columns AS
    SELECT i.indrelid::int4 AS object_id, i.indexrelid::int4 AS index_id, k.number::int4 AS column_id,
        CAST((CASE WHEN k.place <= i.indnkeyatts THEN k.place ELSE 0 END)::text AS tsql.tinyint) AS key_ordinal,
        CAST(CASE WHEN i.indoption[k.place - 1] & 1 = 1 THEN '1' ELSE '0' END AS tsql.bit) AS is_descending_key,
        CAST(CASE WHEN k.place <= i.indnkeyatts THEN '0' ELSE '1' END AS tsql.bit) AS is_included_column
    FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(number, place);
CREATE VIEW sys.key_constraints AS
    SELECT tsql.long(k.conname) AS name, k.oid::int4 AS object_id, k.conrelid::int4 AS parent_object_id, k.conindid::int4 AS unique_index_id,
        CAST(CASE k.contype WHEN 'p' THEN 'PK' ELSE 'UQ' END AS tsql.char(2)) AS type,
        CAST('1' AS tsql.bit) AS is_system_named FROM pg_constraint k WHERE k.contype IN ('p', 'u');
CREATE VIEW sys.foreign_keys AS
    SELECT tsql.long(k.conname) AS name, k.conrelid::int4 AS parent_object_id, k.confrelid::int4 AS referenced_object_id FROM pg_constraint k WHERE k.contype = 'f';
CREATE VIEW sys.check_constraints AS
    SELECT tsql.long(k.conname) AS name, k.conrelid::int4 AS parent_object_id FROM pg_constraint k WHERE k.contype = 'c';
CREATE VIEW sys.triggers AS
    SELECT tsql.long(t.tgname) AS name, t.tgrelid::int4 AS parent_id FROM pg_trigger t WHERE NOT t.tgisinternal AND t.tgname NOT LIKE '~%';
CREATE VIEW sys.sql_expression_dependencies AS
    SELECT DISTINCT r.ev_class::int4 AS referencing_id, d.refobjid::int4 AS referenced_id, CAST('1' AS tsql.bit) AS is_schema_bound_reference FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
    WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class;
CREATE VIEW sys.filegroups AS SELECT 1 AS data_space_id, CAST('1' AS tsql.bit) AS is_default;
CREATE VIEW sys.partitions AS
    SELECT c.oid::int4 AS object_id, 1 AS partition_number, CAST('0' AS tsql.tinyint) AS data_compression FROM pg_class c WHERE c.relkind = 'r';
CREATE VIEW sys.fulltext_indexes AS SELECT CAST(NULL AS int4) AS object_id WHERE false;
CREATE FUNCTION tsql.shape(of oid) RETURNS text LANGUAGE sql STABLE RETURN (
    SELECT string_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull), ', ' ORDER BY a.attnum)
        || coalesce((SELECT ' key ' || string_agg(a.attname, ', ' ORDER BY k.place) FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(number, place)
            JOIN pg_attribute a ON a.attrelid = of AND a.attnum = k.number WHERE i.indrelid = of AND i.indisprimary), '')
    FROM pg_attribute a WHERE a.attrelid = of AND a.attnum > 0 AND NOT a.attisdropped);
CREATE FUNCTION tsql.switch(source regclass, target regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE full_already bool;
BEGIN
    EXECUTE format('LOCK TABLE %s, %s IN ACCESS EXCLUSIVE MODE', source, target);
    IF tsql.shape(source) <> tsql.shape(target) THEN
        PERFORM tsql.fail('4C943', 'ALTER TABLE SWITCH statement failed because the two tables have different columns or keys.');
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT FROM %s)', target) INTO full_already;
    IF full_already THEN
        PERFORM tsql.fail('4C905', 'ALTER TABLE SWITCH statement failed. The target table must be empty.');
    END IF;
    EXECUTE format('INSERT INTO %s SELECT * FROM %s', target, source);
    EXECUTE format('TRUNCATE %s', source);
END $$;
CREATE VIEW sys.database_permissions AS
    SELECT c.oid::int4 AS major_id, CAST('1' AS tsql.tinyint) AS class FROM pg_class c, LATERAL aclexplode(c.relacl) g WHERE g.grantee <> c.relowner;
CREATE VIEW sys.extended_properties AS
    SELECT d.objoid::int4 AS major_id, CAST('dpone' AS tsql.sysname) AS name, CAST(d.description AS tsql.nvarchar) AS value, d.objsubid AS minor_id,
        CAST('1' AS tsql.tinyint) AS class FROM pg_description d WHERE d.classoid = 'pg_class'::regclass;
CREATE VIEW sys.databases AS
    SELECT CAST(CAST(d.datname AS text) AS tsql.sysname) AS name, CAST('1' AS tsql.tinyint) AS snapshot_isolation_state, CAST('1' AS tsql.bit) AS is_read_committed_snapshot_on,
        CAST('1' AS tsql.bit) AS is_cdc_enabled, CAST('160' AS tsql.tinyint) AS compatibility_level, d.oid::int4 AS database_id, CAST('0' AS tsql.bit) AS is_read_only FROM pg_database d WHERE d.datname = current_database();
CREATE VIEW sys.dm_exec_connections AS SELECT pg_backend_pid()::int2 AS session_id, CAST(coalesce(current_setting('tsql.encrypted', true), 'FALSE') AS tsql.nvarchar(40)) AS encrypt_option;
CREATE VIEW sys.dm_tran_active_transactions AS
    SELECT a.pid::int8 AS transaction_id, tsql.datetime2_raw((extract(epoch FROM a.xact_start) * 10000000)::int8 + 621355968000000000) AS transaction_begin_time
    FROM pg_stat_activity a WHERE a.xact_start IS NOT NULL;
CREATE VIEW sys.dm_tran_active_snapshot_database_transactions AS
    SELECT a.pid::int8 AS transaction_id, a.pid::int4 AS session_id, CAST('1' AS tsql.bit) AS is_snapshot
    FROM pg_stat_activity a WHERE a.datname = current_database() AND a.state LIKE 'idle in transaction%' AND a.backend_xmin IS NOT NULL;
CREATE VIEW sys.dm_tran_locks AS
    SELECT l.pid::int4 AS request_session_id, CAST('OBJECT' AS tsql.nvarchar(60)) AS resource_type, l.relation::int8 AS resource_associated_entity_id,
        CAST(CASE WHEN l.mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock') THEN 'IX' ELSE 'IS' END AS tsql.nvarchar(60)) AS request_mode,
        l.pid::int8 AS request_owner_id, CAST(CASE WHEN l.granted THEN 'GRANT' ELSE 'WAIT' END AS tsql.nvarchar(60)) AS request_status, d.oid::int4 AS resource_database_id
    FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE l.locktype = 'relation';

CREATE FUNCTION tsql.name_parts(v text) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT
    RETURN (SELECT array_agg(CASE WHEN left(m[1], 1) = '[' THEN replace(substr(m[1], 2, length(m[1]) - 2), ']]', ']') ELSE m[1] END)
        FROM regexp_matches(v, '(\[(?:[^\]]|\]\])*\]|[^.\[\]]+)(?:\.|$)', 'g') m);
CREATE FUNCTION tsql.short(v text) RETURNS text LANGUAGE sql STABLE STRICT
    RETURN CASE WHEN octet_length(v) <= 63 THEN v ELSE '~' || left(encode(sha256(convert_to(v, 'UTF8')), 'hex'), 40) END;
CREATE FUNCTION tsql.object_id(v tsql.nvarchar) RETURNS int LANGUAGE sql STABLE STRICT
    RETURN (SELECT c.oid::int4 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, LATERAL (SELECT tsql.name_parts(v::text) AS p) q
        WHERE c.relkind IN ('r', 'v') AND c.relname = tsql.short(p[array_length(p, 1)]) AND n.nspname = CASE WHEN array_length(p, 1) = 1 THEN 'dbo' ELSE tsql.short(p[array_length(p, 1) - 1]) END);
CREATE FUNCTION tsql.object_id(v tsql.nvarchar, kind tsql.nvarchar) RETURNS int LANGUAGE sql STABLE STRICT
    RETURN (SELECT o.object_id FROM sys.objects o WHERE o.object_id = tsql.object_id(v) AND rtrim(o.type::text) = kind::text);
CREATE FUNCTION tsql.schema_id(v tsql.nvarchar) RETURNS int LANGUAGE sql STABLE STRICT
    RETURN (SELECT n.oid::int4 FROM pg_namespace n WHERE n.nspname = tsql.short(v::text));
CREATE FUNCTION tsql.schema_name(v int) RETURNS tsql.sysname LANGUAGE sql STABLE STRICT RETURN (SELECT tsql.long(n.nspname) FROM pg_namespace n WHERE n.oid = v);
CREATE FUNCTION tsql.object_name(v int) RETURNS tsql.sysname LANGUAGE sql STABLE STRICT RETURN (SELECT tsql.long(n.relname) FROM pg_class n WHERE n.oid = v);
CREATE FUNCTION tsql.db_name() RETURNS tsql.sysname LANGUAGE sql STABLE RETURN CAST(CAST(current_database() AS text) AS tsql.sysname);
CREATE FUNCTION tsql.db_id() RETURNS int LANGUAGE sql STABLE RETURN (SELECT d.oid::int4 FROM pg_database d WHERE d.datname = current_database());
CREATE FUNCTION tsql.suser_sname() RETURNS tsql.sysname LANGUAGE sql STABLE RETURN CAST('sa' AS tsql.sysname);
CREATE FUNCTION tsql.quotename(v tsql.nvarchar) RETURNS tsql.nvarchar LANGUAGE sql IMMUTABLE STRICT RETURN ('[' || replace(v::text, ']', ']]') || ']')::tsql.nvarchar;
CREATE FUNCTION tsql.has_perms_by_name(tsql.nvarchar, tsql.nvarchar, tsql.nvarchar) RETURNS int LANGUAGE sql STABLE RETURN 1;
CREATE FUNCTION tsql.serverproperty(v tsql.nvarchar) RETURNS tsql.nvarchar LANGUAGE sql STABLE STRICT RETURN CAST(CASE lower(v::text)
    WHEN 'productversion' THEN '16.0.0.0' WHEN 'engineedition' THEN '3' WHEN 'edition' THEN 'Emulator' WHEN 'productmajorversion' THEN '16'
    WHEN 'collation' THEN 'SQL_Latin1_General_CP1_CI_AS' WHEN 'isxtpsupported' THEN '0' END AS tsql.nvarchar);
CREATE SCHEMA dbo;
CREATE VIEW sys.all_columns AS SELECT c.*, CAST(NULL AS int4) AS graph_type FROM sys.columns c;
CREATE VIEW sys.dm_tran_database_transactions AS
    SELECT DISTINCT l.pid::int8 AS transaction_id, d.oid::int4 AS database_id,
        tsql.datetime_from((extract(epoch FROM a.xact_start) * 10000000)::int8 + 621355968000000000) AS database_transaction_begin_time
    FROM pg_locks l JOIN pg_database d ON d.oid = l.database LEFT JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'relation' AND l.granted AND l.pid <> pg_backend_pid()
        AND l.mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock');
CREATE FUNCTION tsql.min_active_rowversion() RETURNS tsql.rowversion LANGUAGE sql VOLATILE
    RETURN CAST(int8send((SELECT s.last_value + CASE WHEN s.is_called THEN 1 ELSE 0 END FROM tsql.versions s)) AS tsql.rowversion);
