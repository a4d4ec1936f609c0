-- Change Tracking: for each key the version of its last change, written when the transaction ends.

CREATE SEQUENCE tsql.tracked_versions START 1;
CREATE TABLE cdc.tracked_commits (version int8 PRIMARY KEY);
CREATE TABLE cdc.tracked (source_oid oid PRIMARY KEY, store text NOT NULL, least int8 NOT NULL, begun int8 NOT NULL, key text[] NOT NULL);
CREATE FUNCTION tsql.tracked_commit() RETURNS int8 LANGUAGE plpgsql AS $$
DECLARE n text := current_setting('tsql.version', true);
BEGIN
    IF coalesce(n, '') = '' THEN
        PERFORM pg_advisory_xact_lock(7170002);
        n := nextval('tsql.tracked_versions')::text;
        PERFORM set_config('tsql.version', n, true);
        INSERT INTO cdc.tracked_commits VALUES (n::int8);
    END IF;
    RETURN n::int8;
END $$;
CREATE FUNCTION tsql.tracked() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE c cdc.tracked; n int8 := tsql.tracked_commit(); keys text; olds text; moved bool := false; k text;
BEGIN
    SELECT * INTO c FROM cdc.tracked t WHERE t.source_oid = TG_RELID;
    SELECT string_agg(format('%I', x), ', '), string_agg(format('($1).%I', x), ', ') INTO keys, olds FROM unnest(c.key) x;
    IF TG_OP = 'UPDATE' THEN
        FOREACH k IN ARRAY c.key LOOP
            moved := moved OR (to_jsonb(NEW) -> k) IS DISTINCT FROM (to_jsonb(OLD) -> k);
        END LOOP;
    END IF;
    IF TG_OP = 'DELETE' OR moved THEN
        EXECUTE format('INSERT INTO cdc.%I AS s ("SYS_CHANGE_VERSION", "~created", "~gone", %s) SELECT $2, NULL, 1, %s '
            'ON CONFLICT (%s) DO UPDATE SET "SYS_CHANGE_VERSION" = $2, "~gone" = 1', c.store, keys, olds, keys) USING OLD, n;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        EXECUTE format('INSERT INTO cdc.%I AS s ("SYS_CHANGE_VERSION", "~created", "~gone", %s) SELECT $2, CASE WHEN $3 THEN $2 END, 0, %s '
            'ON CONFLICT (%s) DO UPDATE SET "SYS_CHANGE_VERSION" = $2, "~gone" = 0, "~created" = CASE WHEN $3 THEN $2 ELSE s."~created" END',
            c.store, keys, olds, keys) USING NEW, n, TG_OP = 'INSERT' OR moved;
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION tsql.truncated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE cdc.tracked SET least = tsql.tracked_commit() WHERE source_oid = TG_RELID;
    RETURN NULL;
END $$;
CREATE FUNCTION tsql.enable_tracking(source oid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE names text; keys text[]; listed text; stored text; n int8;
BEGIN
    SELECT string_agg(format('%I %s NOT NULL', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum),
        array_agg(a.attname::text ORDER BY a.attnum), string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) INTO names, keys, listed
        FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) WHERE i.indrelid = source AND i.indisprimary;
    IF keys IS NULL THEN
        PERFORM tsql.fail('4C997', 'Cannot enable change tracking on the table. Change tracking requires a primary key on the table.');
    END IF;
    IF EXISTS (SELECT FROM cdc.tracked t WHERE t.source_oid = source) THEN
        PERFORM tsql.fail('4C996', 'Change tracking is already enabled for the table.');
    END IF;
    SELECT 'tracked_' || md5(p.nspname || '.' || c.relname) INTO stored FROM pg_class c JOIN pg_namespace p ON p.oid = c.relnamespace WHERE c.oid = source;
    EXECUTE format('DROP TABLE IF EXISTS cdc.%I', stored);
    EXECUTE format('CREATE TABLE cdc.%I ("SYS_CHANGE_VERSION" int8 NOT NULL, "~created" int8, "~gone" int4 NOT NULL, %s, PRIMARY KEY (%s))', stored, names, listed);
    n := tsql.change_tracking_current_version();
    INSERT INTO cdc.tracked VALUES (source, stored, n, n, keys);
    EXECUTE format('CREATE CONSTRAINT TRIGGER "~tracked" AFTER INSERT OR UPDATE OR DELETE ON %s DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION tsql.tracked()', source::regclass);
    EXECUTE format('CREATE TRIGGER "~truncated" AFTER TRUNCATE ON %s EXECUTE FUNCTION tsql.truncated()', source::regclass);
END $$;
CREATE FUNCTION tsql.disable_tracking(source oid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE c cdc.tracked;
BEGIN
    SELECT * INTO c FROM cdc.tracked t WHERE t.source_oid = source;
    IF c.store IS NULL THEN
        PERFORM tsql.fail('4C998', 'Change tracking is not enabled on the table.');
    END IF;
    EXECUTE format('DROP TABLE cdc.%I', c.store);
    EXECUTE format('DROP TRIGGER "~tracked" ON %s', source::regclass);
    EXECUTE format('DROP TRIGGER "~truncated" ON %s', source::regclass);
    DELETE FROM cdc.tracked WHERE source_oid = source;
END $$;
CREATE VIEW sys.change_tracking_tables AS
    SELECT t.source_oid::int4 AS object_id, CAST('0' AS tsql.bit) AS is_track_columns_updated_on, t.least AS min_valid_version,
        t.begun AS begin_version, t.least AS cleanup_version FROM cdc.tracked t;
CREATE FUNCTION tsql.change_tracking_current_version() RETURNS int8 LANGUAGE sql VOLATILE RETURN coalesce((SELECT max(c.version) FROM cdc.tracked_commits c), 0);
CREATE FUNCTION tsql.change_tracking_min_valid_version(v int) RETURNS int8 LANGUAGE sql VOLATILE RETURN (SELECT t.least FROM cdc.tracked t WHERE t.source_oid = v::oid);
