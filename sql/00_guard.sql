-- 00_guard: general SQL of this script runs with the path below; names are written in full.
SET LOCAL search_path = pg_catalog, pg_temp;

-- A schema model_mgr that was there before must be a superuser's or the installing role's (a dump creates it before
-- the extension) and empty: else whoever made it could have planted objects that this script or its users pick up.
DO $guard$
DECLARE
    space oid := (SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname = 'model_mgr');
    held text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_roles r ON r.oid = n.nspowner
                   WHERE n.oid = space AND (r.rolsuper OR r.rolname = current_user)) THEN
        RAISE EXCEPTION USING errcode = '42501', message = 'schema "model_mgr" belongs to somebody else',
            detail = pg_catalog.format('Its owner is %s.', (SELECT nspowner::pg_catalog.regrole FROM pg_catalog.pg_namespace WHERE oid = space)),
            hint = 'Drop or rename that schema, then create the extension again.';
    END IF;
    SELECT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) INTO held
    FROM pg_catalog.pg_depend d WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.refobjid = space
      AND d.classid <> 'pg_catalog.pg_extension'::pg_catalog.regclass LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING errcode = '55000', message = 'schema "model_mgr" already holds objects',
            detail = pg_catalog.format('It holds %s.', held),
            hint = 'Move or drop what is in it, then create the extension again.';
    END IF;
END
$guard$;
