-- Change data capture: what changed is written when its transaction ends, under one number that grows with each commit.

CREATE SCHEMA cdc;
CREATE SEQUENCE tsql.commits START 16;
CREATE SEQUENCE tsql.moves START 16;
CREATE TABLE cdc.captures (source_oid oid NOT NULL, instance text PRIMARY KEY, start_lsn int8 NOT NULL, columns text[] NOT NULL, key text[] NOT NULL);
CREATE TABLE cdc.commits (lsn int8 PRIMARY KEY);
CREATE FUNCTION tsql.lsn(n int8) RETURNS tsql.binary LANGUAGE sql IMMUTABLE STRICT RETURN CAST(int8send(n) || '\x0000'::bytea AS tsql.binary);
CREATE FUNCTION tsql.lsn_number(v tsql.varbinary) RETURNS int8 LANGUAGE sql IMMUTABLE STRICT
    RETURN ('x' || encode(substring(CAST(v AS bytea) FROM 1 FOR 8), 'hex'))::bit(64)::int8;

CREATE FUNCTION tsql.captured() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE c cdc.captures; n text := current_setting('tsql.commit', true); names text; olds text; moved bool := false; k text;
BEGIN
    IF coalesce(n, '') = '' THEN
        PERFORM pg_advisory_xact_lock(7170001);
        n := nextval('tsql.commits')::text;
        PERFORM set_config('tsql.commit', n, true);
        INSERT INTO cdc.commits VALUES (n::int8);
    END IF;
    FOR c IN SELECT * FROM cdc.captures WHERE source_oid = TG_RELID LOOP
        SELECT string_agg(format('($1).%I', x), ', ') INTO names FROM unnest(c.columns) x;
        IF TG_OP = 'UPDATE' THEN
            FOREACH k IN ARRAY c.key LOOP
                moved := moved OR (to_jsonb(NEW) -> k) IS DISTINCT FROM (to_jsonb(OLD) -> k);
            END LOOP;
        END IF;
        IF TG_OP IN ('DELETE', 'UPDATE') THEN
            EXECUTE format('INSERT INTO cdc.%I SELECT tsql.lsn(%s), tsql.lsn(nextval(''tsql.moves'')), %s, NULL, %s', c.instance || '_CT', n, CASE WHEN TG_OP = 'DELETE' OR moved THEN 1 ELSE 3 END, names) USING OLD;
        END IF;
        IF TG_OP IN ('INSERT', 'UPDATE') THEN
            EXECUTE format('INSERT INTO cdc.%I SELECT tsql.lsn(%s), tsql.lsn(nextval(''tsql.moves'')), %s, NULL, %s', c.instance || '_CT', n, CASE WHEN TG_OP = 'INSERT' OR moved THEN 2 ELSE 4 END, names) USING NEW;
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
CREATE FUNCTION tsql.enable_capture(source oid, instance text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE names text; cols text[]; keys text[];
BEGIN
    IF (SELECT count(*) FROM cdc.captures c WHERE c.source_oid = source) > 1 THEN
        PERFORM tsql.fail('4C962', 'Two capture instances already exist for the source table. A table can have at most two capture instances.');
    END IF;
    IF EXISTS (SELECT FROM cdc.captures c WHERE c.instance = enable_capture.instance) THEN
        PERFORM tsql.fail('4C926', 'Could not create a capture instance because the capture instance name already exists in the current database.');
    END IF;
    SELECT string_agg(format('%I %s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum), array_agg(attname::text ORDER BY attnum)
        INTO names, cols FROM pg_attribute WHERE attrelid = source AND attnum > 0 AND NOT attisdropped;
    SELECT coalesce(array_agg(a.attname::text), '{}') INTO keys FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
        WHERE i.indrelid = source AND i.indisprimary;
    EXECUTE format('CREATE TABLE cdc.%I ("__$start_lsn" tsql.binary(10), "__$seqval" tsql.binary(10), "__$operation" int4, "__$update_mask" tsql.varbinary(128), %s)', instance || '_CT', names);
    INSERT INTO cdc.captures VALUES (source, instance, (SELECT last_value + CASE WHEN is_called THEN 1 ELSE 0 END FROM tsql.commits), cols, keys);
    IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = source AND tgname = '~cdc') THEN
        EXECUTE format('CREATE CONSTRAINT TRIGGER "~cdc" AFTER INSERT OR UPDATE OR DELETE ON %s DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION tsql.captured()', source::regclass);
    END IF;
END $$;
CREATE FUNCTION tsql.disable_capture(source oid, which text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE c cdc.captures;
BEGIN
    FOR c IN SELECT * FROM cdc.captures WHERE source_oid = source AND (which = 'all' OR instance = which) LOOP
        EXECUTE format('DROP TABLE cdc.%I', c.instance || '_CT');
        DELETE FROM cdc.captures WHERE instance = c.instance;
    END LOOP;
    IF NOT EXISTS (SELECT FROM cdc.captures WHERE source_oid = source) THEN EXECUTE format('DROP TRIGGER "~cdc" ON %s', source::regclass); END IF;
END $$;
CREATE VIEW cdc.change_tables AS
    SELECT c.source_oid::int4 AS source_object_id, CAST(c.instance AS tsql.sysname) AS capture_instance, tsql.lsn(c.start_lsn) AS start_lsn FROM cdc.captures c;
CREATE FUNCTION sys.fn_cdc_get_max_lsn() RETURNS tsql.binary LANGUAGE sql VOLATILE RETURN tsql.lsn((SELECT max(c.lsn) FROM cdc.commits c));
CREATE FUNCTION sys.fn_cdc_get_min_lsn(v tsql.nvarchar) RETURNS tsql.binary LANGUAGE sql VOLATILE
    RETURN tsql.lsn((SELECT c.start_lsn FROM cdc.captures c WHERE c.instance = CAST(v AS text)));
CREATE FUNCTION sys.fn_cdc_increment_lsn(v tsql.varbinary) RETURNS tsql.binary LANGUAGE sql IMMUTABLE STRICT RETURN tsql.lsn(tsql.lsn_number(v) + 1);
CREATE FUNCTION tsql.cdc_may_read(v tsql.nvarchar, since tsql.varbinary) RETURNS int LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF tsql.lsn_number(since) < (SELECT c.start_lsn FROM cdc.captures c WHERE c.instance = CAST(v AS text)) THEN
        PERFORM tsql.fail('40313', 'An insufficient number of arguments were supplied for the procedure or function cdc.fn_cdc_get_all_changes.');
    END IF;
    RETURN 1;
END $$;
CREATE FUNCTION tsql.cdc_cleanup(v tsql.nvarchar, low tsql.varbinary) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE cdc.captures SET start_lsn = tsql.lsn_number(low) WHERE instance = CAST(v AS text);
    EXECUTE format('DELETE FROM cdc.%I WHERE tsql.lsn_number(CAST("__$start_lsn" AS tsql.varbinary)) < $1', CAST(v AS text) || '_CT') USING tsql.lsn_number(low);
END $$;
