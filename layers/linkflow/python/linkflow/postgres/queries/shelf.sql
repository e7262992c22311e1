-- name: tags
-- A workspace's tags by name, and how many workflows have each.
SELECT t.id::text, t.name, t.color, t.created_at, t.updated_at,
       (SELECT count(*) FROM workflow_tags u JOIN workflows w ON w.id = u.workflow_id AND w.deleted_at = 0
        WHERE u.tag_id = t.id)
FROM tags t WHERE t.workspace_id = %(workspace)s ORDER BY lower(t.name)

-- name: add_tag
-- A new one, unless its name is taken or there are too many.
INSERT INTO tags (id, workspace_id, name, color, created_at, updated_at)
SELECT %(id)s, %(workspace)s, %(name)s, %(color)s, %(at)s, %(at)s
WHERE (SELECT count(*) FROM tags WHERE workspace_id = %(workspace)s) < %(most)s
ON CONFLICT DO NOTHING

-- name: change_tag
-- Another name or colour.
UPDATE tags SET name = %(name)s, color = %(color)s, updated_at = %(at)s
WHERE id = %(id)s AND workspace_id = %(workspace)s
  AND NOT EXISTS (SELECT FROM tags WHERE workspace_id = %(workspace)s AND lower(name) = lower(%(name)s) AND id <> %(id)s)

-- name: drop_tag
-- It goes, wherever it hangs.
DELETE FROM tags WHERE id = %(id)s AND workspace_id = %(workspace)s

-- name: named
-- Tags by id or name.
SELECT id::text, lower(name) FROM tags
WHERE workspace_id = %(workspace)s AND (id::text = ANY (%(names)s) OR lower(name) = ANY (%(names)s))

-- name: untag
-- Tags that a workflow is not to have any more.
DELETE FROM workflow_tags WHERE workflow_id = %(workflow)s AND tag_id <> ALL (%(tags)s::uuid[])

-- name: tag
-- Tags that it is to have.
INSERT INTO workflow_tags (workflow_id, tag_id)
SELECT %(workflow)s, id FROM tags WHERE id = ANY (%(tags)s::uuid[]) AND workspace_id = %(workspace)s
ON CONFLICT DO NOTHING

-- name: own_tree
-- Who changes a workspace's folders, or names of its tags, is alone with them.
SELECT pg_advisory_xact_lock(hashtextextended('folders ' || %(workspace)s, 0))

-- name: folders
-- A workspace's folders, and how many workflows are in each.
SELECT f.id::text, coalesce(f.parent_id::text, ''), f.name, f.created_at, f.updated_at,
       (SELECT count(*) FROM workflows w WHERE w.folder_id = f.id AND w.deleted_at = 0)
FROM folders f WHERE f.workspace_id = %(workspace)s ORDER BY lower(f.name), f.id

-- name: put_folder
-- A new one, or one that has another name or place.
INSERT INTO folders (id, workspace_id, parent_id, name, created_at, updated_at)
VALUES (%(id)s, %(workspace)s, %(parent)s, %(name)s, %(created_at)s, %(updated_at)s)
ON CONFLICT (id) DO UPDATE SET parent_id = excluded.parent_id, name = excluded.name, updated_at = excluded.updated_at

-- name: lift_folders
-- What is in a folder that goes comes into the one above.
UPDATE folders SET parent_id = %(parent)s WHERE parent_id = %(id)s AND workspace_id = %(workspace)s

-- name: lift_workflows
-- Its workflows as well.
UPDATE workflows SET folder_id = %(parent)s WHERE folder_id = %(id)s AND workspace_id = %(workspace)s

-- name: drop_folder
-- Then it goes.
DELETE FROM folders WHERE id = %(id)s AND workspace_id = %(workspace)s

-- name: move
-- A workflow into a folder of its workspace, or out of all.
UPDATE workflows SET folder_id = %(folder)s
WHERE id = %(workflow)s AND workspace_id = %(workspace)s AND deleted_at = 0
  AND (%(folder)s::uuid IS NULL OR EXISTS (SELECT FROM folders WHERE id = %(folder)s AND workspace_id = %(workspace)s))

-- name: lock
-- Nobody changes it until it is unlocked; whoever is changing it now comes too late.
UPDATE workflows
SET locked_at = %(at)s, locked_by = %(actor)s, lock_reason = %(reason)s, lock_version = lock_version + 1,
    locker = coalesce((SELECT trim(first_name || ' ' || last_name) FROM users WHERE id = %(user)s),
                      (SELECT name FROM api_keys WHERE id = %(user)s), '')
WHERE id = %(workflow)s AND workspace_id = %(workspace)s AND deleted_at = 0 AND locked_at = 0

-- name: unlock
-- It may be changed again.
UPDATE workflows SET locked_at = 0, locked_by = '', locker = '', lock_reason = '', lock_version = lock_version + 1
WHERE id = %(workflow)s AND workspace_id = %(workspace)s AND deleted_at = 0 AND locked_at > 0

-- name: search
-- A page of the workflows that somebody looks for, in the order that he wants.
SELECT w.key, w.id::text, w.workspace_id::text, w.name, w.description, w.active, w.version, w.lock_version, w.created_at,
       w.updated_at, greatest(w.last_version, w.version), coalesce(w.folder_id::text, ''), w.locked_at, w.locked_by,
       w.locker, w.lock_reason
FROM (
  SELECT *, CASE %(sort)s WHEN 'name' THEN lower(name) WHEN 'updated_at' THEN lpad(updated_at::text, 15, '0')
            ELSE id::text END COLLATE "C" AS key
  FROM workflows
) w
WHERE w.workspace_id = %(workspace)s AND w.deleted_at = 0
  AND (%(active)s::boolean IS NULL OR w.active = %(active)s)
  AND (%(locked)s::boolean IS NULL OR (w.locked_at > 0) = %(locked)s)
  AND (%(words)s::text IS NULL
       OR to_tsvector('simple', regexp_replace(w.name || ' ' || w.description, '[^[:alnum:]]+', ' ', 'g'))
          @@ to_tsquery('simple', %(words)s))
  AND (%(folders)s::uuid[] IS NULL OR w.folder_id = ANY (%(folders)s::uuid[]))
  AND (NOT %(loose)s OR w.folder_id IS NULL)
  AND w.node_types @> %(types)s::text[]
  AND (%(tags)s::uuid[] IS NULL
       OR (SELECT count(*) FROM workflow_tags t WHERE t.workflow_id = w.id AND t.tag_id = ANY (%(tags)s::uuid[]))
          = cardinality(%(tags)s::uuid[]))
  AND (%(key)s::text IS NULL
       OR CASE WHEN %(down)s THEN (w.key, w.id) < (%(key)s COLLATE "C", %(after)s::uuid)
               ELSE (w.key, w.id) > (%(key)s COLLATE "C", %(after)s::uuid) END)
ORDER BY CASE WHEN %(down)s THEN w.key END DESC, CASE WHEN NOT %(down)s THEN w.key END,
         CASE WHEN %(down)s THEN w.id END DESC, CASE WHEN NOT %(down)s THEN w.id END
LIMIT %(limit)s
