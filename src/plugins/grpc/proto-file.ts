/** The services of a .proto file: for plugins that translate between JSON and messages. Loaded with protobufjs, which only such plugins need. */
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import type { ReflectionObject, Root, Service, Type } from 'protobufjs'

export interface Method {
  /** How it is asked for: `/package.Service/Method`. */
  readonly path: string
  readonly input: Type
  readonly output: Type
  /** The options as they stand in the file, by name in parentheses. */
  readonly options: readonly Readonly<Record<string, unknown>>[]
}

/** Files that one may import, directly or not; more is a circle or a mistake. */
const MOST_FILES = 200
/** Their contents are built in, or (Google's annotations) need none. */
const BUILT_IN = /(?:^|\/)google\/protobuf\/([a-z_]+)\.proto$/
const ANNOTATIONS = /(?:^|\/)google\/api\/[a-z_]+\.proto$/

/** Rejects when the file, or one that it imports, can't be read, is none, or names a type that is not there. */
export async function loadProtoFile(file: string): Promise<readonly Method[]> {
  const { default: protobuf } = await import('protobufjs')
  const root = new protobuf.Root()
  const folder = path.dirname(path.resolve(file))
  const seen = new Set<string>()
  const load = async (name: string, from: string): Promise<void> => {
    const builtIn = BUILT_IN.exec(name)
    if (builtIn !== null) {
      const common = protobuf.common.get(`google/protobuf/${builtIn[1]!}.proto`)
      if (common?.nested) root.addJSON(common.nested)
      return
    }
    // As protoc: beside the file that imports, or below the folder of the first one.
    const source = await firstOf([path.resolve(from, name), path.resolve(folder, name)])
    if (source === null) {
      if (ANNOTATIONS.test(name)) return
      throw new Error(`${name} can't be read`)
    }
    if (seen.has(source.file)) return
    seen.add(source.file)
    if (seen.size > MOST_FILES) throw new Error(`more than ${MOST_FILES} files are imported`)
    const parsed = protobuf.parse(source.text, root, { keepCase: true, alternateCommentMode: false })
    for (const imported of [...(parsed.imports ?? []), ...(parsed.weakImports ?? [])])
      await load(imported, path.dirname(source.file))
  }
  await load(path.basename(file), folder)
  root.resolveAll()
  return methodsOf(root, protobuf.Service)
}

async function firstOf(files: readonly string[]): Promise<{ readonly file: string; readonly text: string } | null> {
  for (const file of files) {
    try {
      return { file, text: await readFile(file, 'utf8') }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
  return null
}

function methodsOf(root: Root, ServiceClass: typeof Service): Method[] {
  const methods: Method[] = []
  const visit = (object: ReflectionObject): void => {
    if (object instanceof ServiceClass) {
      for (const method of object.methodsArray) {
        method.resolve()
        methods.push({
          path: `/${object.fullName.slice(1)}/${method.name}`,
          input: method.resolvedRequestType!,
          output: method.resolvedResponseType!,
          options: (method.parsedOptions ?? []) as Method['options'],
        })
      }
    }
    const nested = (object as { readonly nestedArray?: readonly ReflectionObject[] }).nestedArray
    for (const inner of nested ?? []) visit(inner)
  }
  visit(root)
  return methods
}
