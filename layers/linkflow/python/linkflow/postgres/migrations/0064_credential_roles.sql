-- `credentials.roles` has the ids of roles of a workspace's own, and the names of built-in ones: a role that is renamed to
-- another one's name opens nothing. Names that no role has stay: nobody has them, as before. Code before this one lets
-- people with a role of the workspace's own use no such credential meanwhile; what it writes is for nobody until it is
-- saved again.

UPDATE credentials c
SET roles = ARRAY(
  SELECT coalesce(r.id::text, k.name)
  FROM unnest(c.roles) WITH ORDINALITY k (name, place)
  LEFT JOIN roles r ON r.workspace_id = c.workspace_id AND r.name = k.name
    AND k.name NOT IN ('owner', 'admin', 'member', 'viewer')
  ORDER BY k.place)
WHERE c.roles <> '{}';
